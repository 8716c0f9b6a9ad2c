import { queryOptions } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import type { AuditEntry } from '../../api/types';
import { named, verb } from '../audit/words';

/** The last changes of records and settings. */
export const changesQuery = queryOptions({
  queryKey: ['audit', 'last'],
  queryFn: () => body(api.GET('/v1/audit', { params: { query: { limit: 100 } } })),
  refetchInterval: 10_000,
});

/** "carrier acme changed". */
export const changeWords = (entry: AuditEntry) => `${entry.kind} ${named(entry)} ${verb(entry)}`;
