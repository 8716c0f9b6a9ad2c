import { queryOptions } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import type { Cdr } from '../../api/types';
import { duration, milliseconds, percent } from '../../parts/format';

/** The calls that ended last. */
export const recentQuery = queryOptions({
  queryKey: ['cdrs', 'recent'],
  queryFn: () => body(api.GET('/v1/cdrs', { params: { query: { limit: 200 } } })),
  refetchInterval: 5000,
});

/** The calls that failed last. */
export const failuresQuery = queryOptions({
  queryKey: ['cdrs', 'failures'],
  queryFn: () => body(api.GET('/v1/cdrs', { params: { query: { limit: 8, outcome: 'failed' } } })),
  refetchInterval: 5000,
});

/** Answer-seizure ratio, average call duration, median post-dial delay. */
export function figuresOf(cdrs: Cdr[]): { asr: string; acd: string; pdd: string } {
  const answered = cdrs.filter(({ outcome }) => outcome === 'answered');
  const talked = answered.map((cdr) => (cdr.end_us - (cdr.answer_us ?? cdr.end_us)) / 1e6);
  const rang = cdrs.flatMap(({ ring_us, start_us }) =>
    ring_us == null ? [] : [ring_us - start_us],
  );
  rang.sort((a, b) => a - b);
  return {
    asr: percent(answered.length, cdrs.length),
    acd: duration(talked.length ? talked.reduce((sum, s) => sum + s, 0) / talked.length : null),
    pdd: milliseconds(rang.length ? rang[Math.floor(rang.length / 2)] : null),
  };
}
