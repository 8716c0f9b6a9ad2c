import { queryOptions } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import type { HistoryView } from '../../api/types';

/** How far back a graph goes. */
export const SPANS = [
  { value: '3600', label: '1 h' },
  { value: '21600', label: '6 h' },
  { value: '86400', label: '24 h' },
  { value: '604800', label: '7 d' },
];

/** What was measured within the last so many seconds, of one server or of all. */
export const historyQuery = (lastS: number, server?: string) =>
  queryOptions({
    queryKey: ['history', lastS, server],
    queryFn: () => {
      const from_us = (Math.floor(Date.now() / 1000) - lastS) * 1_000_000;
      return body(api.GET('/v1/history', { params: { query: { from_us, server } } }));
    },
    refetchInterval: 10_000,
  });

/** The points of a figure; null where nobody has measured it. */
export function pointsOf(history: HistoryView, figure: string): (number | null)[] {
  return (history.figures as Record<string, (number | null)[]>)[figure] ?? [];
}
