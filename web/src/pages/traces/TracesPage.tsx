import { useQuery } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import { useOpen } from '../../api/session';
import type { TraceMessage, TracePage } from '../../api/types';
import type { Column } from '../../parts/DataTable';
import { bytes, count, relative, time } from '../../parts/format';
import { ListPage } from '../../parts/ListPage';
import { Unheard } from '../calls/Unheard';

const columns: Column<TraceMessage>[] = [
  { key: 'at', title: 'Seen', cell: (message) => time(message.at_us) },
  { key: 'title', title: 'Message', cell: (message) => message.title, kind: 'mono', leads: true },
  {
    key: 'method',
    title: 'Of',
    cell: (message) => (message.status == null ? '' : message.method),
    kind: 'mono',
  },
  { key: 'caller', title: 'From', cell: (message) => message.caller || '—', kind: 'mono' },
  { key: 'called', title: 'To', cell: (message) => message.called || '—', kind: 'mono' },
  { key: 'source', title: 'Sent by', cell: (message) => message.from, kind: 'mono' },
  { key: 'target', title: 'Sent to', cell: (message) => message.to, kind: 'mono' },
  { key: 'transport', title: 'Over', cell: (message) => message.transport, kind: 'mono' },
  {
    key: 'by',
    title: 'Seen by',
    cell: (message) => message.seen_by ?? (message.server_name || 'this server'),
    wide: true,
  },
  { key: 'id', title: 'Call-ID', cell: (message) => message.sip_call_id, kind: 'mono', wide: true },
];

/** SIP messages that are kept, at whichever server, the latest first. */
export function TracesPage() {
  const knowsServers = useOpen('servers');
  return (
    <ListPage<TraceMessage, TracePage>
      title="SIP trace"
      queryKey={['traces', 'list']}
      load={(filters, cursor) =>
        body(
          api.GET('/v1/traces', { params: { query: { ...filters, cursor, limit: 100 } as never } }),
        )
      }
      columns={columns}
      filters={[
        { name: 'party', label: 'Number or user' },
        { name: 'sip_call_id', label: 'Call-ID' },
        { name: 'address', label: 'Address' },
        {
          name: 'kind',
          label: 'Kind',
          options: ['calls', 'registrations', 'options', 'others'].map((value) => ({
            value,
            label: value,
          })),
        },
        ...(knowsServers ? [{ name: 'server', label: 'Server', of: 'servers' as const }] : []),
      ]}
      rowKey={(message) => message.id}
      to={(message) => `/traces/ladder?sip_call_id=${encodeURIComponent(message.sip_call_id)}`}
      empty="No message is kept yet."
      about={(page) => <Unheard servers={page.unheard} what="Messages" />}
      beside={<Kept />}
    />
  );
}

/** How much there is, and whether anything was lost. */
function Kept() {
  const { data } = useQuery({
    queryKey: ['traces', 'status'],
    queryFn: () => body(api.GET('/v1/traces/status')),
    refetchInterval: 10_000,
  });
  if (!data) return null;
  const lost = data.dropped + data.failed;
  return (
    <span className="dim" style={{ fontSize: 12, alignSelf: 'center' }}>
      {data.mode === 'off' ? 'the trace is off; ' : ''}
      {bytes(data.bytes)}
      {data.oldest_us != null && `, the oldest of ${relative(data.oldest_us)}`}
      {lost > 0 && `, ${count(lost)} lost`}
    </span>
  );
}
