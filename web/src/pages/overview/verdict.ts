import type { GatewayHealth, MediaServerHealth, Readiness } from '../../api/types';
import { plural } from '../../parts/format';

/** How the platform is, in a sentence. */
export interface Verdict {
  level: 'good' | 'degraded' | 'bad' | 'unknown';
  words: string;
}

/** What is known; undefined is not known yet, or no longer. */
interface Known {
  readiness: Readiness | undefined;
  calls: number | undefined;
  gateways: GatewayHealth[] | undefined;
  mediaServers: MediaServerHealth[] | undefined;
}

export function verdict({ readiness, calls, gateways, mediaServers }: Known): Verdict {
  if (!readiness) return { level: 'unknown', words: 'The platform does not say how it is.' };
  if (!readiness.ready) {
    return { level: 'bad', words: `This server takes no calls: ${readiness.problems.join('; ')}.` };
  }
  const takes = `This server takes calls${calls === undefined ? '' : `; ${plural(calls, 'call')} in progress`}`;
  const failed = [
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
): string[] {
  const down = (all ?? []).filter(isDown).map(({ name }) => name);
  if (!all || down.length === 0) return [];
  const rest = down.length - NAMES_MAX;
  const names = down.slice(0, NAMES_MAX).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
  return [`${down.length} of ${plural(all.length, what)} down (${names})`];
}

const UP: Partial<Record<MediaServerHealth['state'], boolean | null>> = { up: true, unknown: null };
const NAMES_MAX = 3;
