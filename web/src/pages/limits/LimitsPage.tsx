import { Progress } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { api, body } from '../../api/client';
import type { LimitUsage } from '../../api/types';
import { DataTable, type Column } from '../../parts/DataTable';
import { count } from '../../parts/format';
import { Page } from '../../parts/Page';
import { Shown } from '../../parts/Shown';

const columns: Column<LimitUsage>[] = [
  { key: 'kind', title: 'Of', cell: (row) => row.kind },
  { key: 'name', title: 'Name', cell: (row) => <Named row={row} /> },
  {
    key: 'channels',
    title: 'Channels',
    cell: (row) => use(row.channels, row.channels_limit),
    kind: 'figure',
  },
  {
    key: 'bar',
    title: '',
    cell: (row) => (
      <Bar part={row.channels} whole={row.channels_limit} label={`channels of ${row.name}`} />
    ),
    wide: true,
  },
  { key: 'cps', title: 'CPS', cell: (row) => use(row.cps, row.cps_limit), kind: 'figure' },
  {
    key: 'bar2',
    title: '',
    cell: (row) => <Bar part={row.cps} whole={row.cps_limit} label={`CPS of ${row.name}`} />,
    wide: true,
  },
  { key: 'share', title: 'Share of this node', cell: share, wide: true },
  { key: 'elsewhere', title: 'Other nodes have', cell: elsewhere, wide: true },
];

/** Limits and what of them is in use. */
export function LimitsPage() {
  const asked = useQuery({
    queryKey: ['limits'],
    queryFn: () => body(api.GET('/v1/limits')),
    refetchInterval: 2000,
  });
  return (
    <Page title="Limits">
      <Shown asked={asked}>
        {(page) => (
          <DataTable
            label="Limits"
            columns={columns}
            rows={page.items}
            rowKey={(row) => row.kind + row.id}
            empty="Nothing is limited. Settings, accounts, users, customers, carriers, gateways and numbers can have limits."
          />
        )}
      </Shown>
    </Page>
  );
}

function Named({ row }: { row: LimitUsage }) {
  if (row.kind === 'server') return <Link to="/settings">{row.name || 'this server'}</Link>;
  return <Link to={`/${row.kind}s/${row.id}` as string}>{row.name}</Link>;
}

const use = (used: number, limit: number | null | undefined) =>
  `${count(used)} of ${limit == null ? 'any' : count(limit)}`;

interface BarProps {
  part: number;
  whole: number | null | undefined;
  label: string;
}

function Bar({ part, whole, label }: BarProps) {
  if (!whole) return null;
  const used = Math.min(100, (100 * part) / whole);
  return (
    <Progress
      value={used}
      color={used >= 100 ? 'red' : used >= 80 ? 'yellow' : undefined}
      aria-label={label}
      w={90}
      size="sm"
    />
  );
}

function share(row: LimitUsage): string {
  return parts(row.channels_share, row.cps_share) || 'not shared';
}

function elsewhere(row: LimitUsage): string {
  return parts(row.channels_elsewhere, row.cps_elsewhere) || 'not shared';
}

function parts(channels: number | null | undefined, cps: number | null | undefined): string {
  return [channels != null && `${count(channels)} channels`, cps != null && `${count(cps)} CPS`]
    .filter(Boolean)
    .join(', ');
}
