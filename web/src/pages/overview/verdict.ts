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
    gateways?.length && `${plural(gateways.filter((gateway) => gateway.up).length, 'gateway')} up`,
    mediaServers?.length &&
      `${plural(mediaServers.filter(({ state }) => state === 'up').length, 'media server')} up`,
  ].filter(Boolean);
  return { level: 'good', words: `${[takes, ...up].join('; ')}.` };
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

const NAMES_MAX = 3;
