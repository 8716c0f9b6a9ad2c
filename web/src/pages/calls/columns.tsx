import type { CallView } from '../../api/types';
import type { Column } from '../../parts/DataTable';
import { duration, time, UNKNOWN } from '../../parts/format';
import { useNow } from '../../parts/Shown';
import { StateBadge } from '../../parts/StateBadge';

export const callColumns: Column<CallView>[] = [
  { key: 'state', title: 'State', cell: (call) => <StateBadge state={call.state} /> },
  {
    key: 'caller',
    title: 'Caller',
    cell: (call) => call.caller || UNKNOWN,
    kind: 'mono',
    leads: true,
  },
  { key: 'called', title: 'Called', cell: (call) => call.called, kind: 'mono' },
  { key: 'server', title: 'Server', cell: (call) => call.server_name },
  { key: 'lasts', title: 'Lasts', cell: (call) => <Lasts call={call} />, kind: 'figure' },
  { key: 'started', title: 'Started', cell: (call) => time(call.start_us), wide: true },
  {
    key: 'from',
    title: 'From',
    cell: (call) => call.legs[0]?.remote ?? '—',
    kind: 'mono',
    wide: true,
  },
  { key: 'to', title: 'To', cell: (call) => call.legs[1]?.remote ?? '—', kind: 'mono', wide: true },
];

/** How long a call has lasted, since its answer if it has one. */
export function Lasts({ call }: { call: CallView }) {
  const now = useNow();
  return <>{duration(now / 1000 - (call.answer_us ?? call.start_us) / 1e6)}</>;
}
