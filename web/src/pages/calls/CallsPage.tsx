import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { api, body } from '../../api/client';
import { useEvents } from '../../api/events';
import { metricsQuery } from '../../api/metrics';
import { useMay } from '../../api/session';
import type { CallView } from '../../api/types';
import { count } from '../../parts/format';
import { ListPage } from '../../parts/ListPage';
import { callColumns } from './columns';
import { HangUp } from './HangUp';

/** Calls in progress, as they come and go. */
export function CallsPage() {
  useEvents('calls');
  const navigate = useNavigate();
  const mayEnd = useMay('operator');
  const metrics = useQuery(metricsQuery);
  const hangUp = {
    key: 'hangup',
    title: '',
    cell: (call: CallView) => <HangUp call={call} compact />,
  };
  return (
    <ListPage
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
      ]}
      rowKey={(call) => call.id}
      onOpen={(call) => void navigate({ to: '/calls/$id', params: { id: call.id } })}
      empty="No call is in progress."
      intervalMs={3000}
      actions={
        <span className="dim" data-testid="channels">
          {count(metrics.data?.sum('tandem_calls'))} channels on this node
        </span>
      }
    />
  );
}
