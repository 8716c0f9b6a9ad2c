import type { RegistrationView } from '../../api/types';
import type { Column } from '../../parts/DataTable';
import { milliseconds, relative } from '../../parts/format';
import { StateBadge } from '../../parts/StateBadge';

export const registrationColumns: Column<RegistrationView>[] = [
  { key: 'aor', title: 'Address of record', cell: (row) => row.aor, kind: 'mono' },
  {
    key: 'state',
    title: 'State',
    cell: (row) => <StateBadge state={row.routable ? 'reachable' : 'unverified'} />,
  },
  { key: 'contact', title: 'Contact', cell: (row) => row.contact, kind: 'mono' },
  {
    key: 'received',
    title: 'Received from',
    cell: (row) => row.received,
    kind: 'mono',
    wide: true,
  },
  { key: 'rtt', title: 'RTT', cell: (row) => milliseconds(row.rtt_us), kind: 'figure' },
  { key: 'expires', title: 'Expires', cell: (row) => relative(row.expires_us), kind: 'figure' },
  { key: 'agent', title: 'User agent', cell: (row) => row.user_agent, wide: true },
  { key: 'node', title: 'Node', cell: (row) => row.node, kind: 'mono', wide: true },
];
