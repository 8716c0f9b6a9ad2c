import { Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useMay } from '../../api/session';
import type { ServerHealth, TargetReport } from '../../api/types';
import { DataTable, type Column } from '../../parts/DataTable';
import { count, milliseconds, relative, UNKNOWN } from '../../parts/format';
import { Card } from '../../parts/Page';
import { StateBadge } from '../../parts/StateBadge';
import { AddTarget } from './AddTarget';
import { TargetActions } from './TargetActions';

interface Props {
  of: ServerHealth;
  /** What the card is called. */
  title?: string;
  /** What stands above the table. */
  children?: ReactNode;
}

/** Where a dispatcher sends calls, how each target is, and what can be done to it. */
export function Targets({ of: health, title = 'Targets', children }: Props) {
  const mayChange = useMay('operator');
  const report = health.report?.dispatcher;
  if (!report) return null;
  const actions: Column<TargetReport>[] = mayChange
    ? [{ key: 'actions', title: '', cell: (row) => <TargetActions server={health} target={row} /> }]
    : [];
  return (
    <Card title={title}>
      {children}
      <Text size="xs" c="dimmed">
        {report.set.algorithm}; the targets are{' '}
        {report.set_by_control ? 'those that control has' : 'those of its own file'}.
        {report.targets_untold ? ` ${count(report.targets_untold)} more are not shown.` : ''}
      </Text>
      {report.set_refused && (
        <Text size="sm" c="red" role="alert">
          It refused what control has: {report.set_refused}
        </Text>
      )}
      <DataTable
        fits
        label={`Targets of ${health.name}`}
        columns={[...columns, ...actions]}
        rows={report.targets}
        rowKey={(row) => row.name}
        empty="It has no targets: every call gets 503."
      />
      {mayChange && <AddTarget of={health} />}
    </Card>
  );
}

const columns: Column<TargetReport>[] = [
  {
    key: 'name',
    title: 'Target',
    cell: (row) => <span title={row.address}>{row.name}</span>,
  },
  {
    key: 'state',
    title: 'State',
    cell: (row) => (
      <span title={words(row)}>
        <StateBadge state={row.state} />
      </span>
    ),
  },
  { key: 'weight', title: 'Weight', cell: (row) => count(row.weight), kind: 'figure' },
  { key: 'calls', title: 'Calls', cell: (row) => calls(row), kind: 'figure' },
  { key: 'share', title: 'Share', cell: (row) => share(row.share_percent), kind: 'figure' },
  {
    key: 'latency',
    title: 'Latency',
    cell: (row) => milliseconds(row.latency_us),
    kind: 'figure',
    wide: true,
  },
  {
    key: 'probe',
    title: 'Probe',
    cell: (row) => milliseconds(row.probe_rtt_us),
    kind: 'figure',
    wide: true,
  },
  { key: 'overload', title: 'Spared', cell: (row) => spared(row), kind: 'figure', wide: true },
  { key: 'priority', title: 'Priority', cell: (row) => row.priority, kind: 'figure', wide: true },
  { key: 'since', title: 'Since', cell: (row) => relative(row.since_us), wide: true },
  { key: 'failure', title: 'Last failure', cell: (row) => failure(row), wide: true },
  { key: 'address', title: 'Address', cell: (row) => row.address, kind: 'mono', wide: true },
];

/** "12 of 100". */
function calls({ calls, calls_max: max }: TargetReport): string {
  return count(calls) + (max == null ? '' : ` of ${count(max)}`);
}

function share(percent: number | null | undefined): string {
  return percent == null ? UNKNOWN : `${percent.toFixed(1)} %`;
}

/** How much of its part it does not get, by its own wish. */
function spared({ loss_percent: loss, closed_ms: closed }: TargetReport): string {
  if (closed != null) return `closed for ${Math.ceil(closed / 1000)} s`;
  return `${loss} %`;
}

function failure({ last_failure: why, last_failure_us: at }: TargetReport): string {
  return why == null ? 'none' : `${why}, ${relative(at)}`;
}

/** What a hover says of a state. */
function words(row: TargetReport): string {
  const cause = row.cause == null ? '' : ` (${row.cause})`;
  const since = row.since_us == null ? '' : ` since ${relative(row.since_us)}`;
  return `${row.state}${cause}${since}`;
}
