import { Link } from '@tanstack/react-router';
import { api, body } from '../../api/client';
import { useEvents } from '../../api/events';
import type { Recording } from '../../api/types';
import type { Column } from '../../parts/DataTable';
import { bytes, duration, time } from '../../parts/format';
import { ListPage } from '../../parts/ListPage';
import { StateBadge } from '../../parts/StateBadge';

const columns: Column<Recording>[] = [
  { key: 'changed', title: 'Written', cell: (recording) => time(recording.changed_us) },
  { key: 'file', title: 'File', cell: (recording) => <File recording={recording} />, kind: 'mono' },
  {
    key: 'state',
    title: 'State',
    cell: (recording) => <StateBadge state={recording.finished ? 'finished' : 'being written'} />,
  },
  {
    key: 'length',
    title: 'Length',
    cell: (recording) => duration(recording.length_ms == null ? null : recording.length_ms / 1000),
    kind: 'figure',
  },
  { key: 'bytes', title: 'Size', cell: (recording) => bytes(recording.bytes), kind: 'figure' },
  { key: 'place', title: 'Where', cell: place, kind: 'mono' },
];

/** Files of recorded calls, the latest first. */
export function RecordingsPage() {
  useEvents('recordings');
  return (
    <ListPage
      title="Recordings"
      queryKey={['recordings', 'list']}
      load={(_, cursor) =>
        body(api.GET('/v1/recordings', { params: { query: { cursor, limit: 100 } } }))
      }
      columns={columns}
      filters={[]}
      rowKey={(recording) => `${recording.server ?? recording.node ?? ''}:${recording.file}`}
      empty="Nothing is recorded. Users and carriers have a switch for it."
    />
  );
}

/** The file is named after its call. */
function File({ recording }: { recording: Recording }) {
  const call = /call_[0-9A-Z]{26}/i.exec(recording.file)?.[0];
  if (!call) return recording.file;
  return <Link to={`/calls/${call}` as string}>{recording.file}</Link>;
}

function place(recording: Recording): string {
  const places = [
    recording.here && 'this machine',
    recording.server,
    recording.node && `node ${recording.node}`,
    recording.location,
  ].filter(Boolean);
  return places.join(', ') || '—';
}
