import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEvents } from '../../api/events';
import { listRecords } from '../../api/records';
import type { User } from '../../api/types';
import { Card } from '../../parts/Page';
import { DataTable } from '../../parts/DataTable';
import { Shown } from '../../parts/Shown';
import { Enabled } from '../../records/cells';
import { registrationColumns } from '../registrations/columns';
import { registrationsQuery } from '../registrations/query';

/** Where the user is registered, and the devices that have secrets of their own. */
export function UserBeside({ record }: { record: User }) {
  useEvents('registrations,devices');
  const registrations = useQuery(registrationsQuery(record.id));
  const devices = useQuery({
    queryKey: ['devices', 'of', record.id],
    queryFn: () => listRecords('devices', { user: record.id }),
  });
  return (
    <>
      <Card title="Registrations">
        <Shown asked={registrations}>
          {(page) => (
            <DataTable
              fits
              label="Registrations"
              columns={registrationColumns.filter(({ key }) => key !== 'aor')}
              rows={page.items}
              rowKey={(row) => row.id}
              empty="Not registered: calls to this user get 480."
            />
          )}
        </Shown>
      </Card>
      <Card title="Devices with a secret of their own">
        <Shown asked={devices}>
          {(page) => (
            <DataTable
              fits
              label="Devices"
              columns={[
                {
                  key: 'name',
                  title: 'Name',
                  cell: (device) => (
                    <Link to={`/devices/${device.id}` as string}>{device.name}</Link>
                  ),
                },
                {
                  key: 'auth',
                  title: 'Authentication name',
                  cell: (device) => device.auth_name,
                  kind: 'mono',
                },
                { key: 'enabled', title: 'State', cell: (device) => <Enabled record={device} /> },
              ]}
              rows={page.items}
              rowKey={(row) => row.id}
              empty="None: all devices of this user register with its name and password."
            />
          )}
        </Shown>
      </Card>
    </>
  );
}
