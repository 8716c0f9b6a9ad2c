import type { Capacity, CapacityMember } from '../../api/types';
import type { Column } from '../../parts/DataTable';
import { count, UNKNOWN } from '../../parts/format';
import { StateBadge } from '../../parts/StateBadge';

/** "40 of 200", with what is not known as a dash. */
export function of(used: number | null | undefined, allowed: number | null | undefined): string {
  return `${count(used)} of ${count(allowed)}`;
}

const percent = (value: number | null | undefined) => (value == null ? UNKNOWN : `${value} %`);

/** What servers together carry, and what remains when one dies. */
export function capacityColumns<T extends { capacity: Capacity }>(): Column<T>[] {
  return [
    {
      key: 'standing',
      title: 'Headroom',
      cell: ({ capacity }) => (
        <span title={capacity.cause}>
          <StateBadge state={capacity.standing} />
        </span>
      ),
    },
    {
      key: 'servers',
      title: 'Servers taking calls',
      cell: ({ capacity }) => of(capacity.taking, capacity.members.length),
      kind: 'figure',
    },
    {
      key: 'channels',
      title: 'Channels',
      cell: ({ capacity }) => of(capacity.channels, capacity.channels_allowed),
      kind: 'figure',
    },
    {
      key: 'cps',
      title: 'CPS',
      cell: ({ capacity }) => of(capacity.cps, capacity.cps_allowed),
      kind: 'figure',
    },
    {
      key: 'used',
      title: 'In use',
      cell: ({ capacity }) => percent(capacity.used_percent),
      kind: 'figure',
    },
    {
      key: 'after',
      title: 'When the largest dies',
      cell: ({ capacity }) => percent(capacity.used_after_loss_percent),
      kind: 'figure',
      wide: true,
    },
  ];
}

export const memberColumns: Column<CapacityMember>[] = [
  { key: 'name', title: 'Name', cell: (row) => row.name },
  { key: 'state', title: 'State', cell: (row) => <StateBadge state={row.state} /> },
  {
    key: 'channels',
    title: 'Channels',
    cell: (row) => of(row.channels, row.channels_allowed),
    kind: 'figure',
  },
  { key: 'cps', title: 'CPS', cell: (row) => of(row.cps, row.cps_allowed), kind: 'figure' },
];

/** What each may use now of what the cluster allows. */
export const shareColumns: Column<CapacityMember>[] = [
  {
    key: 'channels_share',
    title: 'Share of channels',
    cell: (row) => count(row.channels_share),
    kind: 'figure',
  },
  {
    key: 'cps_share',
    title: 'Share of CPS',
    cell: (row) => count(row.cps_share),
    kind: 'figure',
  },
];
