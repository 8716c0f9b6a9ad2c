import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { api, body } from '../../api/client';
import { useMay } from '../../api/session';
import type { CallView } from '../../api/types';
import { DataTable } from '../../parts/DataTable';
import { count } from '../../parts/format';
import { Card } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { callColumns } from '../calls/columns';
import { HangUp } from '../calls/HangUp';
import { Unheard } from '../calls/Unheard';

const columns = callColumns.filter(({ key }) => key !== 'server');

/** The first calls in progress of a server. */
export function ServerCalls({ server }: { server: string }) {
  const mayEnd = useMay('operator');
  const asked = useQuery({
    queryKey: ['calls', 'of', server],
    queryFn: () => body(api.GET('/v1/calls', { params: { query: { server, limit: SHOWN } } })),
    refetchInterval: 3000,
  });
  const hangUp = {
    key: 'hangup',
    title: '',
    cell: (call: CallView) => <HangUp call={call} compact />,
  };
  return (
    <Card title="Live calls">
      <Shown asked={asked}>
        {(page) => (
          <>
            <Unheard servers={page.unheard} />
            <DataTable
              fits
              label="Calls of this server"
              columns={mayEnd ? [...columns, hangUp] : columns}
              rows={page.items}
              rowKey={(call) => call.id}
              to={(call) => `/calls/${call.id}`}
              empty="No call is in progress here."
            />
            {page.total > page.items.length && (
              <Link to="/calls" search={{ server } as never}>
                All {count(page.total)} calls of this server
              </Link>
            )}
          </>
        )}
      </Shown>
    </Card>
  );
}

const SHOWN = 10;
