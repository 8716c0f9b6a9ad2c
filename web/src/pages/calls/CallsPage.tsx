import { useQuery } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import { useEvents } from '../../api/events';
import { metricsQuery } from '../../api/metrics';
import { useMay, useOpen } from '../../api/session';
import type { CallPage, CallView } from '../../api/types';
import { count } from '../../parts/format';
import { ListPage } from '../../parts/ListPage';
import { callColumns } from './columns';
import { HangUp } from './HangUp';
import { Unheard } from './Unheard';

/** Calls in progress, as they come and go. */
export function CallsPage() {
  useEvents('calls');
  const mayEnd = useMay('operator');
  const knowsServers = useOpen('servers');
  const metrics = useQuery(metricsQuery);
  const hangUp = {
    key: 'hangup',
    title: '',
    cell: (call: CallView) => <HangUp call={call} compact />,
  };
  return (
    <ListPage<CallView, CallPage>
      title="Live calls"
      queryKey={['calls', 'list']}
      load={(filters, cursor) =>
        body(
          api.GET('/v1/calls', { params: { query: { ...filters, cursor, limit: 500 } as never } }),
        )
      }
      columns={mayEnd ? [...callColumns, hangUp] : callColumns}
      filters={[
        { name: 'caller', label: 'Caller' },
        { name: 'called', label: 'Called' },
        {
          name: 'state',
          label: 'State',
          options: ['trying', 'ringing', 'answered', 'ending'].map((value) => ({
            value,
            label: value,
          })),
        },
        { name: 'account', label: 'Account', of: 'accounts' },
        ...(knowsServers ? [{ name: 'server', label: 'Server', of: 'servers' as const }] : []),
      ]}
      rowKey={(call) => call.id}
      to={(call) => `/calls/${call.id}`}
      empty="No call is in progress."
      intervalMs={3000}
      about={(page) => (
        <>
          <div className="dim" data-testid="total">
            {count(page.total)} calls at all servers that answer
          </div>
          <Unheard servers={page.unheard} />
        </>
      )}
      actions={
        <span className="dim" data-testid="channels">
          {count(metrics.data?.sum('tandem_calls'))} channels on this node
        </span>
      }
    />
  );
}
