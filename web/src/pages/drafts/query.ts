import { queryOptions } from '@tanstack/react-query';
import { api, body } from '../../api/client';

/** A draft, with what it changes. */
export const draftQuery = (id: string) =>
  queryOptions({
    queryKey: ['drafts', id],
    queryFn: () => body(api.GET('/v1/drafts/{id}', { params: { path: { id } } })),
    refetchInterval: 10_000,
  });
