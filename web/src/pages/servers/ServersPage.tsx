import { Button } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { api, body } from '../../api/client';
import { useEvents } from '../../api/events';
import { useMay } from '../../api/session';
import type { ServerState } from '../../api/types';
import { ListPage } from '../../parts/ListPage';
import { serverColumns } from './columns';

const STATES = ['up', 'full', 'draining', 'drained', 'unreachable', 'planned', 'revoked'];

/** Machines that take calls, with live figures. */
export function ServersPage() {
  useEvents('servers');
  const navigate = useNavigate();
  const mayJoin = useMay('admin');
  const join = () => void navigate({ to: '/servers/new' });
  return (
    <ListPage
      title="Servers"
      queryKey={['servers', 'list']}
      load={({ name, zone, cluster, state }) => {
        const query = { name, zone, cluster, state: state as ServerState | undefined };
        return body(api.GET('/v1/server-health', { params: { query } }));
      }}
      columns={serverColumns}
      filters={[
        { name: 'name', label: 'Name' },
        { name: 'state', label: 'State', options: STATES.map((s) => ({ value: s, label: s })) },
        { name: 'zone', label: 'Zone' },
        { name: 'cluster', label: 'Cluster' },
      ]}
      rowKey={(row) => row.server}
      to={(row) => `/servers/${row.server}`}
      empty="This platform is one machine. Start it with --node-port to let others join."
      intervalMs={1000}
      actions={mayJoin && <Button onClick={join}>Join a machine</Button>}
    />
  );
}
