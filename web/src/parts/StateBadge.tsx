import { Badge } from '@mantine/core';

/** A state in a word, in the colour of what it means. */
export function StateBadge({ state }: { state: string }) {
  return <Badge color={COLOURS[state] ?? 'gray'}>{state}</Badge>;
}

const COLOURS: Record<string, string> = {
  up: 'green',
  registered: 'green',
  answered: 'green',
  enabled: 'green',
  reachable: 'green',
  ready: 'green',
  shown: 'green',
  good: 'green',
  done: 'green',
  running: 'blue',
  tight: 'yellow',
  short: 'red',
  full: 'yellow',
  redundant: 'green',
  ringing: 'yellow',
  trying: 'yellow',
  degraded: 'yellow',
  draining: 'yellow',
  drained: 'yellow',
  busy: 'yellow',
  'update pending': 'yellow',
  doubtful: 'yellow',
  'no-answer': 'yellow',
  single: 'red',
  wrong: 'red',
  down: 'red',
  unreachable: 'red',
  revoked: 'red',
  stopped: 'red',
  open: 'red',
  failed: 'red',
  refused: 'red',
  'not ready': 'red',
};
