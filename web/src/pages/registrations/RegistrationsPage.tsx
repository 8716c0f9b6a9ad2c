import { useQueryClient } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import { useEvents } from '../../api/events';
import { useOpen } from '../../api/session';
import { Confirm } from '../../parts/Confirm';
import { ListPage } from '../../parts/ListPage';
import { registrationColumns } from './columns';

/** Contacts that users have registered. */
export function RegistrationsPage() {
  useEvents('registrations');
  const client = useQueryClient();
  const mayChange = useOpen('registrations', 'change');
  const remove = async (id: string) => {
    await body(api.DELETE('/v1/registrations/{id}', { params: { path: { id } } }));
    await client.invalidateQueries({ queryKey: ['registrations'] });
  };
  const columns = [...registrationColumns];
  if (mayChange) {
    columns.push({
      key: 'remove',
      title: '',
      cell: (row) => (
        <Confirm
          compact
          action="Remove"
          label={`Remove the registration of ${row.aor}`}
          question={`Remove this registration of ${row.aor}?`}
          onConfirm={() => remove(row.id)}
          wish={{ method: 'DELETE', path: `/v1/registrations/${encodeURIComponent(row.id)}` }}
        >
          Calls do not reach {row.contact} until it registers again, which it may do at any time.
        </Confirm>
      ),
    });
  }
  return (
    <ListPage
      title="Registrations"
      queryKey={['registrations', 'list']}
      load={(filters, cursor) =>
        body(
          api.GET('/v1/registrations', { params: { query: { ...filters, cursor, limit: 200 } } }),
        )
      }
      columns={columns}
      filters={[
        { name: 'aor', label: 'Address of record' },
        { name: 'user', label: 'User', of: 'users' },
      ]}
      rowKey={(row) => row.id}
      empty="No phone is registered."
      intervalMs={15_000}
    />
  );
}
