import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { api, body } from '../../api/client';
import { useMay } from '../../api/session';
import type { ServerHealth } from '../../api/types';
import { Confirm } from '../../parts/Confirm';
import { DataTable, type Column } from '../../parts/DataTable';
import { count, plural, UNKNOWN } from '../../parts/format';
import { Card } from '../../parts/Page';
import { StateBadge } from '../../parts/StateBadge';
import { orUnknown } from '../../records/cells';
import { Age } from '../servers/columns';
import { rate, sessions } from './MediaFacts';

/** Media servers that have joined, by their own word; nothing where there are none. */
export function JoinedMedia() {
  const mayAct = useMay('operator');
  const { data } = useQuery({
    queryKey: ['servers', 'media'],
    queryFn: () => body(api.GET('/v1/server-health', { params: { query: { role: 'media' } } })),
    refetchInterval: 1000,
  });
  const rows = data?.items ?? [];
  if (rows.length === 0) return null;
  const actions: Column<ServerHealth>[] = mayAct
    ? [{ key: 'actions', title: '', cell: (row) => <Drain of={row} /> }]
    : [];
  return (
    <Card title="Joined media servers">
      <DataTable
        fits
        label="Joined media servers"
        columns={[...columns, ...actions]}
        rows={rows}
        rowKey={(row) => row.server}
      />
    </Card>
  );
}

const columns: Column<ServerHealth>[] = [
  {
    key: 'name',
    title: 'Name',
    cell: (row) => <Link to={`/servers/${row.server}` as string}>{row.name}</Link>,
  },
  {
    key: 'state',
    title: 'State',
    cell: (row) => (
      <span title={row.cause}>
        <StateBadge state={row.state} />
        <Age of={row} />
      </span>
    ),
  },
  {
    key: 'sessions',
    title: 'Sessions',
    cell: ({ report }) => (report?.media ? sessions(report.media) : UNKNOWN),
    kind: 'figure',
  },
  {
    key: 'load',
    title: 'Load',
    cell: ({ report }) => (report?.media ? `${report.media.load_percent.toFixed(1)} %` : UNKNOWN),
    kind: 'figure',
  },
  {
    key: 'packets',
    title: 'Packets',
    cell: ({ report }) => rate(report?.media?.packets_per_s),
    kind: 'figure',
  },
  {
    key: 'kernel',
    title: 'In the kernel',
    cell: ({ report }) => (
      <span title={report?.media?.kernel_path ?? report?.media?.kernel_refused ?? ''}>
        {rate(report?.media?.kernel_packets_per_s)}
      </span>
    ),
    kind: 'figure',
    wide: true,
  },
  { key: 'zone', title: 'Zone', cell: (row) => orUnknown(row.zone), wide: true },
  {
    key: 'addresses',
    title: 'Addresses',
    cell: ({ report }) => report?.media?.addresses.join(', ') ?? UNKNOWN,
    kind: 'mono',
    wide: true,
  },
  {
    key: 'aliases',
    title: 'Aliases',
    cell: ({ report }) => report?.media?.aliases.join(', ') || UNKNOWN,
    wide: true,
  },
];

/** Drain, or take sessions again; how many are left stands in the row. */
function Drain({ of: health }: { of: ServerHealth }) {
  const client = useQueryClient();
  const params = { params: { path: { id: health.server } } };
  const begin = async (action: Promise<unknown>) => {
    await action;
    await client.invalidateQueries({ queryKey: ['servers'] });
  };
  if (health.report?.draining) {
    return (
      <Confirm
        compact
        action="Resume"
        label={`Resume ${health.name}`}
        question={`Have ${health.name} take sessions again?`}
        onConfirm={() => begin(body(api.POST('/v1/servers/{id}/resume', params)))}
      />
    );
  }
  const left = health.report?.channels;
  return (
    <Confirm
      compact
      action="Drain"
      label={`Drain ${health.name}`}
      question={`Drain ${health.name}?`}
      onConfirm={() => begin(body(api.POST('/v1/servers/{id}/drain', params)))}
    >
      It takes no new sessions from then on.{' '}
      {left == null
        ? 'How many it has is not known.'
        : `${plural(left, 'session')} ${left === 1 ? 'goes' : 'go'} on to the end; ${count(left)} left now.`}
    </Confirm>
  );
}
