import type { Cdr } from '../../api/types';
import type { Column } from '../../parts/DataTable';
import { duration, milliseconds, mos, time } from '../../parts/format';
import { RecordLink } from '../../parts/names';
import { StateBadge } from '../../parts/StateBadge';

/** A column of the table, and the one of a CSV file that has the same. */
interface CdrColumn extends Column<Cdr> {
  csv: string;
}

export const cdrColumns: CdrColumn[] = [
  { key: 'started', csv: 'start_us', title: 'Started', cell: (cdr) => time(cdr.start_us) },
  { key: 'caller', csv: 'caller', title: 'Caller', cell: (cdr) => cdr.caller, kind: 'mono' },
  { key: 'called', csv: 'called', title: 'Called', cell: (cdr) => cdr.called, kind: 'mono' },
  {
    key: 'outcome',
    csv: 'outcome',
    title: 'Outcome',
    cell: (cdr) => <StateBadge state={cdr.outcome} />,
  },
  { key: 'status', csv: 'status', title: 'Status', cell: (cdr) => cdr.status, kind: 'mono' },
  {
    key: 'talked',
    csv: 'talk_us',
    title: 'Talked',
    cell: (cdr) => duration(talked(cdr)),
    kind: 'figure',
  },
  {
    key: 'pdd',
    csv: 'ring_us',
    title: 'PDD',
    cell: (cdr) => milliseconds(pdd(cdr)),
    kind: 'figure',
  },
  {
    key: 'mos_a',
    csv: 'a_mos_centi',
    title: 'MOS caller',
    cell: (cdr) => mos(cdr.media_a?.mos_centi),
    kind: 'figure',
  },
  {
    key: 'mos_b',
    csv: 'b_mos_centi',
    title: 'MOS called',
    cell: (cdr) => mos(cdr.media_b?.mos_centi),
    kind: 'figure',
  },
  { key: 'reason', csv: 'reason', title: 'Reason', cell: (cdr) => cdr.reason },
  { key: 'answered', csv: 'answer_us', title: 'Answered', cell: (cdr) => time(cdr.answer_us) },
  { key: 'ended', csv: 'end_us', title: 'Ended', cell: (cdr) => time(cdr.end_us) },
  { key: 'ended_by', csv: 'ended_by', title: 'Ended by', cell: (cdr) => cdr.ended_by },
  {
    key: 'account',
    csv: 'account',
    title: 'Account',
    cell: (cdr) => <RecordLink noun="accounts" id={cdr.account} />,
  },
  {
    key: 'customer',
    csv: 'customer',
    title: 'Customer',
    cell: (cdr) => <RecordLink noun="customers" id={cdr.customer} />,
  },
  {
    key: 'carrier',
    csv: 'carrier',
    title: 'Carrier',
    cell: (cdr) => <RecordLink noun="carriers" id={cdr.carrier} />,
  },
  {
    key: 'gateway',
    csv: 'gateway',
    title: 'Gateway',
    cell: (cdr) => <RecordLink noun="gateways" id={cdr.gateway} />,
  },
  {
    key: 'destination',
    csv: 'destination',
    title: 'Destination',
    cell: (cdr) => cdr.destination,
    kind: 'mono',
  },
  {
    key: 'attempts',
    csv: 'attempts',
    title: 'Attempts',
    cell: (cdr) => cdr.attempts,
    kind: 'figure',
  },
  { key: 'source', csv: 'source', title: 'Source', cell: (cdr) => cdr.source, kind: 'mono' },
  {
    key: 'codec',
    csv: 'a_codec',
    title: 'Codec',
    cell: (cdr) => cdr.media_a?.codec || '—',
    kind: 'mono',
  },
  { key: 'node', csv: 'node', title: 'Node', cell: (cdr) => cdr.node, kind: 'mono' },
  {
    key: 'call_id',
    csv: 'sip_call_id',
    title: 'Call-ID',
    cell: (cdr) => cdr.sip_call_id,
    kind: 'mono',
  },
];

/** What is shown until somebody chooses. */
export const usualColumns = [
  'started',
  'caller',
  'called',
  'outcome',
  'status',
  'talked',
  'pdd',
  'mos_a',
  'mos_b',
  'reason',
];

function talked(cdr: Cdr): number | null {
  return cdr.answer_us == null ? null : (cdr.end_us - cdr.answer_us) / 1e6;
}

function pdd(cdr: Cdr): number | null {
  return cdr.ring_us == null ? null : cdr.ring_us - cdr.start_us;
}
