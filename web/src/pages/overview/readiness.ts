import { queryOptions } from '@tanstack/react-query';
import type { Readiness } from '../../api/types';

/** Whether the node takes calls. A node that does not says so with 503 and the reasons. */
export const readinessQuery = queryOptions({
  queryKey: ['readiness'],
  queryFn: async (): Promise<Readiness> => {
    const answer = await fetch('/readyz');
    return (await answer.json()) as Readiness;
  },
  refetchInterval: 5000,
});
