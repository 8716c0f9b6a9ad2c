import type { Metrics } from '../../api/metrics';

let before: Metrics | undefined;
let latest: Metrics | undefined;

/** New calls a second between the last two measurements; null before there were two. */
export function cpsOf(metrics: Metrics): number | null {
  if (metrics.atMs !== latest?.atMs) [before, latest] = [latest, metrics];
  const [after, earlier] = [metrics.sum(ATTEMPTS), before?.sum(ATTEMPTS)];
  // A counter that fell began anew.
  if (after === undefined || earlier === undefined || after < earlier || !before) return null;
  const seconds = (metrics.atMs - before.atMs) / 1000;
  return seconds > MAX_GAP_S ? null : (after - earlier) / seconds;
}

const ATTEMPTS = 'tandem_call_attempts_total';
/** A rate over a longer time would hide what happened in it. */
const MAX_GAP_S = 15;
