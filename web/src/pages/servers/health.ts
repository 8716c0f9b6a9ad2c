import { queryOptions } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import type { ServerHealth } from '../../api/types';

/** A server that has not been heard of for so long is not reached. */
const STALE_S = 5;

/** How all servers are. */
export const serversHealthQuery = queryOptions({
  queryKey: ['servers', 'health', 'all'],
  queryFn: () => body(api.GET('/v1/server-health')),
  refetchInterval: 2000,
});

/** How one server is. */
export const serverHealthQuery = (server: string) =>
  queryOptions({
    queryKey: ['servers', 'health', server],
    queryFn: () => body(api.GET('/v1/server-health', { params: { query: { server } } })),
    select: (page) => page.items.at(0),
    refetchInterval: 1000,
  });

/** The age of what is shown in seconds, where it is worth a word. */
export function staleFor(health: ServerHealth, nowMs = Date.now()): number | null {
  if (health.reported_us == null) return null;
  const age = nowMs / 1000 - health.reported_us / 1e6;
  return age > STALE_S ? Math.round(age) : null;
}

/** "up to date", or how many revisions a node lags behind. */
export function lag(health: ServerHealth): string | null {
  if (health.report == null) return null;
  const behind = health.wanted_revision - health.report.revision;
  return behind > 0 ? `${behind} behind` : 'newest';
}

/** Whole days until then; negative when it is over. */
export function daysUntil(us: number | null | undefined, nowMs = Date.now()): number | null {
  return us == null ? null : Math.floor((us / 1000 - nowMs) / 86_400_000);
}
