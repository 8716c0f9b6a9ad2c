import { useQuery } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import { useEvents } from '../../api/events';
import { useOpen } from '../../api/session';
import type { PlatformEvent } from '../../api/types';
import { DataTable, type Column } from '../../parts/DataTable';
import { time } from '../../parts/format';
import { Card } from '../../parts/Page';
import { Shown } from '../../parts/Shown';

const columns: Column<PlatformEvent>[] = [
  { key: 'at', title: 'At', cell: (event) => time(event.at_us), kind: 'mono' },
  { key: 'name', title: 'Event', cell: (event) => event.name, kind: 'mono' },
  { key: 'about', title: 'About', cell: (event) => about(event.data), kind: 'mono', wide: true },
];

/** What has happened last at a server, for those who may see it. */
export function ServerEvents(props: { server: string }) {
  return useOpen('events') && <Latest {...props} />;
}

function Latest({ server }: { server: string }) {
  // Nothing is kept of what happens while nobody watches.
  useEvents('calls');
  const asked = useQuery({
    queryKey: ['events', 'of', server],
    queryFn: () =>
      body(api.GET('/v1/events/recent', { params: { query: { server, limit: SHOWN } } })),
    refetchInterval: 3000,
  });
  return (
    <Card title="Last events">
      <Shown asked={asked}>
        {(page) => (
          <DataTable
            fits
            label="Events of this server"
            columns={columns}
            rows={page.items}
            rowKey={(event) =>
              `${event.at_us} ${event.sequence} ${event.name} ${about(event.data)}`
            }
            empty="Nothing has happened since somebody began to watch."
          />
        )}
      </Shown>
    </Card>
  );
}

/** The object concerned: its names and numbers in one line. */
function about(data: unknown): string {
  const fields = Object.entries((data ?? {}) as Record<string, unknown>);
  const known = fields.filter(([, value]) => value != null && value !== '');
  return known.map(([name, value]) => `${name} ${String(value)}`).join(', ');
}

const SHOWN = 20;
