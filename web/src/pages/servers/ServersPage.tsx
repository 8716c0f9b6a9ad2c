import { Button } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { api, body } from '../../api/client';
import { useEvents } from '../../api/events';
import { useMay } from '../../api/session';
import type { ServerRole, ServerState } from '../../api/types';
import { ListPage } from '../../parts/ListPage';
import { serverColumns } from './columns';

const ROLES = ['switch', 'dispatcher', 'media'];
const STATES = [
  'up',
  'degraded',
  'down',
  'full',
  'draining',
  'drained',
  'unreachable',
  'planned',
  'revoked',
];

/** Machines of the platform, with live figures. */
export function ServersPage() {
  useEvents('servers');
  const navigate = useNavigate();
  const mayJoin = useMay('admin');
  const join = () => void navigate({ to: '/servers/new' });
  return (
    <ListPage
      title="Servers"
      queryKey={['servers', 'list']}
      load={({ name, role, zone, cluster, state }) => {
        const query = {
          name,
          role: role as ServerRole | undefined,
          zone,
          cluster,
          state: state as ServerState | undefined,
        };
        return body(api.GET('/v1/server-health', { params: { query } }));
      }}
      columns={serverColumns}
      filters={[
        { name: 'name', label: 'Name' },
        { name: 'role', label: 'Role', options: ROLES.map((r) => ({ value: r, label: r })) },
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
