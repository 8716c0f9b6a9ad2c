import { useQuery, useQueryClient } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import type { OpenSession } from '../../api/types';
import { Confirm } from '../../parts/Confirm';
import { DataTable, type Column } from '../../parts/DataTable';
import { relative, time } from '../../parts/format';
import { Shown } from '../../parts/Shown';

/** Browsers that are signed in: one's own, for administrators all. */
export function Sessions({ own }: { own: string | null }) {
  const asked = useQuery({
    queryKey: ['sessions'],
    queryFn: () => body(api.GET('/v1/sessions')),
    refetchInterval: 30_000,
  });
  const columns: Column<OpenSession>[] = [
    {
      key: 'name',
      title: 'Who',
      cell: (session) => `${session.name}${session.id === own ? ' (this one)' : ''}`,
    },
    { key: 'source', title: 'From', cell: (session) => session.source, kind: 'mono' },
    { key: 'agent', title: 'Browser', cell: (session) => session.agent || '–', wide: true },
    { key: 'begun', title: 'Since', cell: (session) => time(session.begun_us), wide: true },
    { key: 'ends', title: 'Ends', cell: (session) => relative(session.ends_us), kind: 'figure' },
    {
      key: 'end',
      title: '',
      cell: (session) => (session.id === own ? '' : <End session={session} />),
    },
  ];
  return (
    <Shown asked={asked}>
      {(page) => (
        <DataTable
          fits
          label="Sessions"
          columns={columns}
          rows={page.items}
          rowKey={(session) => session.id}
        />
      )}
    </Shown>
  );
}

function End({ session }: { session: OpenSession }) {
  const client = useQueryClient();
  const end = async () => {
    await body(api.DELETE('/v1/sessions/{id}', { params: { path: { id: session.id } } }));
    await client.invalidateQueries({ queryKey: ['sessions'] });
  };
  return (
    <Confirm
      compact
      action="End"
      label={`End the session of ${session.name} from ${session.source}`}
      question={`End the session of ${session.name}?`}
      onConfirm={end}
      wish={{ method: 'DELETE', path: `/v1/sessions/${session.id}` }}
    >
      The browser at {session.source} is signed out.
    </Confirm>
  );
}
