import { Text } from '@mantine/core';
import type { ServerHealth } from '../../api/types';
import type { Column } from '../../parts/DataTable';
import { bytes, count, milliseconds, span, UNKNOWN } from '../../parts/format';
import { StateBadge } from '../../parts/StateBadge';
import { orUnknown } from '../../records/cells';
import { latencyText, latencyWords } from '../zones/LatencyMatrix';
import { daysUntil, lag, staleFor } from './health';

/** "12 of 1,000", with the highest of the last minutes. */
export function inUse(
  used: number | undefined,
  limit: number | null | undefined,
  peak?: number,
): string {
  if (used == null) return UNKNOWN;
  const of = limit == null ? '' : ` of ${count(limit)}`;
  const most = peak == null ? '' : ` · peak ${count(peak)}`;
  return `${count(used)}${of}${most}`;
}

/** The age of figures that are not of this moment. */
export function Age({ of }: { of: ServerHealth }) {
  const age = staleFor(of);
  if (age == null) return null;
  return (
    <Text component="span" size="xs" c="yellow" ml={6}>
      {span(age)} old
    </Text>
  );
}

/** That another program waits on its disk. */
export function UpdatePending({ health }: { health: ServerHealth }) {
  const update = health.report?.update;
  if (update == null) return null;
  const title = `${update.version} (${update.build}) is on its disk, ${health.report?.version} (${update.running_build}) runs`;
  return (
    <span title={title}>
      <StateBadge state="update pending" />
    </span>
  );
}

export const serverColumns: Column<ServerHealth>[] = [
  { key: 'name', title: 'Name', cell: (row) => row.name },
  { key: 'role', title: 'Role', cell: (row) => row.role, wide: true },
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
    key: 'channels',
    title: 'Channels',
    cell: (row) =>
      inUse(row.report?.channels, row.report?.channels_limit, row.report?.channels_peak),
    kind: 'figure',
  },
  {
    key: 'cps',
    title: 'CPS',
    // Sessions of media begin with calls of switches.
    cell: (row) =>
      row.role === 'media'
        ? UNKNOWN
        : inUse(row.report?.cps, row.report?.cps_limit, row.report?.cps_peak),
    kind: 'figure',
  },
  { key: 'zone', title: 'Zone', cell: (row) => orUnknown(row.zone), wide: true },
  { key: 'cluster', title: 'Cluster', cell: (row) => orUnknown(row.cluster), wide: true },
  {
    key: 'rtt',
    title: 'Line',
    cell: (row) => milliseconds(row.report?.rtt_us),
    kind: 'figure',
    wide: true,
  },
  {
    key: 'sip',
    title: 'SIP',
    cell: (row) => <span title={latencies(row)}>{latencyText(row.sip)}</span>,
    kind: 'figure',
    wide: true,
  },
  { key: 'cpu', title: 'CPU', cell: (row) => cpu(row), kind: 'figure', wide: true },
  {
    key: 'memory',
    title: 'Memory',
    cell: (row) => bytes(row.report?.memory_bytes),
    kind: 'figure',
    wide: true,
  },
  {
    key: 'version',
    title: 'Version',
    cell: (row) => (
      <>
        {orUnknown(row.report?.version)} <UpdatePending health={row} />
      </>
    ),
    wide: true,
  },
  { key: 'lag', title: 'Configuration', cell: (row) => lag(row) ?? UNKNOWN, wide: true },
  {
    key: 'certificate',
    title: 'Certificate',
    cell: (row) => days(daysUntil(row.certificate_expires_us)),
    kind: 'figure',
    wide: true,
  },
];

/** From other servers, one line for each way of asking. */
export function latencies({ sip, icmp }: ServerHealth): string {
  return `SIP: ${latencyWords(sip)}\nICMP: ${latencyWords(icmp)}`;
}

/** Of all cores together. */
export function cpu(row: ServerHealth): string {
  const used = row.report?.cpu_percent;
  const cores = row.report?.cores;
  return used == null || !cores ? UNKNOWN : `${(used / cores).toFixed(1)} %`;
}

export function days(left: number | null): string {
  if (left == null) return UNKNOWN;
  return left < 0 ? 'expired' : `${count(left)} d`;
}
