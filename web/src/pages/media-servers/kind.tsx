import { useQuery } from '@tanstack/react-query';
import type { MediaServer } from '../../api/types';
import { count, milliseconds, UNKNOWN } from '../../parts/format';
import { StateBadge } from '../../parts/StateBadge';
import { orUnknown } from '../../records/cells';
import { enabled, enabledFilter, name, zone } from '../../records/fields';
import type { Kind } from '../../records/kind';
import { mediaServerHealthQuery } from './health';
import { JoinedMedia } from './JoinedMedia';
import { MediaServerBeside } from './MediaServerBeside';

export const mediaServers: Kind<'media-servers'> = {
  noun: 'media-servers',
  one: 'media server',
  title: 'Media servers',
  about: 'No media server: this node relays the media of its calls itself.',
  topics: 'media',
  columns: [
    { key: 'name', title: 'Name', cell: (server) => server.name },
    { key: 'state', title: 'State', cell: (server) => <Health of={server} show="state" /> },
    { key: 'zone', title: 'Zone', cell: (server) => orUnknown(server.zone) },
    {
      key: 'sessions',
      title: 'Sessions',
      cell: (server) => <Health of={server} show="sessions" />,
      kind: 'figure',
    },
    {
      key: 'load',
      title: 'Load',
      cell: (server) => <Health of={server} show="load" />,
      kind: 'figure',
    },
    {
      key: 'rtt',
      title: 'RTT',
      cell: (server) => <Health of={server} show="rtt" />,
      kind: 'figure',
    },
    {
      key: 'weight',
      title: 'Weight',
      cell: (server) => server.weight ?? 1,
      kind: 'figure',
      wide: true,
    },
    {
      key: 'control',
      title: 'Control',
      cell: (server) => server.control,
      kind: 'mono',
      wide: true,
    },
    {
      key: 'aliases',
      title: 'Aliases',
      cell: (server) => server.aliases?.join(', ') || 'none',
      wide: true,
    },
  ],
  filters: [{ name: 'name', label: 'Name' }, { name: 'zone', label: 'Zone' }, enabledFilter],
  fields: [
    name,
    {
      path: 'control',
      label: 'Control',
      help: 'udp:host:port of its ng protocol',
      input: { kind: 'text', mono: true },
      required: true,
    },
    zone,
    {
      path: 'public_address',
      label: 'Public address',
      help: 'empty: the one it says itself',
      input: { kind: 'text', mono: true },
      empty: null,
    },
    {
      path: 'weight',
      label: 'Weight',
      help: '0: only where there is no other',
      input: { kind: 'number', max: 65_535 },
      empty: 0,
    },
    { path: 'aliases', label: 'Aliases', help: 'one a line', input: { kind: 'lines' } },
    enabled,
    { path: 'draining', label: 'Draining', help: 'takes no new calls', input: { kind: 'switch' } },
  ],
  fresh: { enabled: true, draining: false, weight: 1 },
  Beside: MediaServerBeside,
  Above: JoinedMedia,
};

interface Props {
  of: MediaServer;
  show: 'state' | 'sessions' | 'load' | 'rtt';
}

function Health({ of, show }: Props) {
  const { data } = useQuery(mediaServerHealthQuery);
  const health = data?.items.find(({ media_server }) => media_server === of.id);
  if (show === 'state') return <StateBadge state={health?.state ?? 'unknown'} />;
  if (show === 'sessions') return count(health?.sessions);
  if (show === 'rtt') return milliseconds(health?.rtt_us);
  return health?.load_percent == null ? UNKNOWN : `${health.load_percent} %`;
}
