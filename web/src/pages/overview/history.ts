import type { Metrics } from '../../api/metrics';

/** A measurement of a moment; null where nothing is known. */
interface Sample {
  atS: number;
  channels: number | null;
  cps: number | null;
}

let samples: Sample[] = [];
let before: Metrics | undefined;

/** What was measured since this page was opened, at most an hour. */
export function history(metrics: Metrics | undefined): Sample[] {
  if (!metrics || metrics.atMs === before?.atMs) return samples;
  const sample = {
    atS: metrics.atMs / 1000,
    channels: metrics.sum('tandem_calls') ?? null,
    cps: rate(metrics, before),
  };
  before = metrics;
  samples = [...samples.slice(-SAMPLES_MAX), sample];
  return samples;
}

/** New calls a second between two measurements; a counter that fell began anew. */
function rate(now: Metrics, then: Metrics | undefined): number | null {
  const [after, earlier] = [now.sum(ATTEMPTS), then?.sum(ATTEMPTS)];
  if (after === undefined || earlier === undefined || after < earlier || !then) return null;
  const seconds = (now.atMs - then.atMs) / 1000;
  return seconds > MAX_GAP_S ? null : (after - earlier) / seconds;
}

const ATTEMPTS = 'tandem_call_attempts_total';
const SAMPLES_MAX = 1800;
/** A rate over a longer time would hide what happened in it. */
const MAX_GAP_S = 15;
