import type { GatewayHealth, MediaServerHealth, Readiness, ServerHealth, ServerState } from '../../api/types';
import { plural } from '../../parts/format';

/** How the platform is, in a sentence. */
export interface Verdict {
  level: 'good' | 'degraded' | 'bad' | 'unknown';
  words: string;
}

/** What is known; undefined is not known yet, or no longer. */
interface Known {
  readiness: Readiness | undefined;
  servers: ServerHealth[] | undefined;
  gateways: GatewayHealth[] | undefined;
  mediaServers: MediaServerHealth[] | undefined;
}

export function verdict({ readiness, servers, gateways, mediaServers }: Known): Verdict {
  if (!readiness) return { level: 'unknown', words: 'The platform does not say how it is.' };
  const switches = (servers ?? []).filter(({ role, state }) => role === 'switch' && state !== 'planned');
  const takers = switches.filter(({ state }) => TAKES_CALLS.includes(state));
  const alone = switches.length <= 1;
  if (alone ? !readiness.ready : takers.length === 0) {
    return { level: 'bad', words: `${noCalls(readiness, switches)}.` };
  }
  const calls = servers && channelsOf(servers);
  const who = alone ? 'This server takes' : takersOf(takers.length, switches.length);
  const takes = `${who} calls${calls === undefined ? '' : `; ${plural(calls, 'call')} in progress`}`;
  const failed = [
    ...FAILED.flatMap((failure) => named('server', servers, ({ state }) => state === failure, failure)),
    ...named('gateway', gateways, ({ up }) => up === false),
    ...named('media server', mediaServers, ({ state }) => state === 'down'),
    ...named(
      'registration',
      registered(gateways),
      ({ registration }) => registration?.state === 'failed',
    ),
  ];
  if (failed.length) return { level: 'degraded', words: `${[takes, ...failed].join('; ')}.` };
  const up = [
    ...counted('gateway', gateways, ({ up }) => up ?? null),
    // One that is disabled or drained is as it is wanted to be.
    ...counted('media server', mediaServers, ({ state }) => UP[state]),
  ];
  return { level: 'good', words: `${[takes, ...up].join('; ')}.` };
}

/** Calls in progress at all switches; those of who is not heard any more may be over. */
export function channelsOf(servers: ServerHealth[]): number {
  return reportsOf(servers).reduce((sum, { channels }) => sum + channels, 0);
}

/** What switches say that are heard. A dispatcher's calls are theirs. */
export const reportsOf = (servers: ServerHealth[]) =>
  servers.flatMap(({ role, state, report }) =>
    role === 'switch' && state !== 'unreachable' && report ? [report] : [],
  );

function noCalls(readiness: Readiness, switches: ServerHealth[]): string {
  if (switches.length <= 1) return `This server takes no calls: ${readiness.problems.join('; ')}`;
  const [first, ...rest] = switches;
  const more = rest.length > 0 ? `, and ${plural(rest.length, 'other')}` : '';
  return `No server takes calls: ${first?.name} is ${first?.state} (${first?.cause})${more}`;
}

const takersOf = (takers: number, all: number) =>
  takers === all ? `${takers} servers take` : `${takers} of ${plural(all, 'server')} take`;

/** "2 gateways up", "1 gateway not known yet": what was never tried is neither up nor down. */
function counted<T>(
  what: string,
  all: T[] | undefined,
  isUp: (one: T) => boolean | null | undefined,
): string[] {
  const states = (all ?? []).map(isUp);
  const up = states.filter((state) => state === true).length;
  const unknown = states.filter((state) => state === null).length;
  return [
    ...(up ? [`${plural(up, what)} up`] : []),
    ...(unknown ? [`${plural(unknown, what)} not known yet`] : []),
  ];
}

const registered = (gateways: GatewayHealth[] | undefined) =>
  gateways?.filter(({ registration }) => registration);

/** "2 of 6 gateways down (acme-1, acme-2)", if any is. */
function named<T extends { name: string }>(
  what: string,
  all: T[] | undefined,
  isDown: (one: T) => boolean,
  word = 'down',
): string[] {
  const down = (all ?? []).filter(isDown).map(({ name }) => name);
  if (!all || down.length === 0) return [];
  const rest = down.length - NAMES_MAX;
  const names = down.slice(0, NAMES_MAX).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
  return [`${down.length} of ${plural(all.length, what)} ${word} (${names})`];
}

/** States in which a switch takes new calls. */
const TAKES_CALLS: ServerState[] = ['up', 'degraded'];
/** States that nobody has asked for. */
const FAILED: ServerState[] = ['down', 'unreachable', 'full', 'degraded'];
const UP: Partial<Record<MediaServerHealth['state'], boolean | null>> = { up: true, unknown: null };
const NAMES_MAX = 3;
