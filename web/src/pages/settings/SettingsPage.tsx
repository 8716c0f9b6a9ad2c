import { notifications } from '@mantine/notifications';
import { useQuery } from '@tanstack/react-query';
import { api, tagged } from '../../api/client';
import { useMay } from '../../api/session';
import { Card, Page } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import type { Draft } from '../../records/field';
import { RecordForm } from '../../records/RecordForm';
import { settingsFields } from './fields';

/** What applies where no record says otherwise. */
export function SettingsPage() {
  const mayChange = useMay('admin');
  const asked = useQuery({
    queryKey: ['settings'],
    queryFn: () => tagged(api.GET('/v1/settings')),
    refetchOnWindowFocus: false,
    staleTime: Infinity,
    gcTime: 0,
  });
  const save = async (draft: Draft, etag: string) => {
    const params = { header: { 'If-Match': etag } };
    await tagged(api.PUT('/v1/settings', { params: params as never, body: draft as never }));
    notifications.show({ message: 'The settings are saved' });
    await asked.refetch();
  };
  return (
    <Page title="Settings">
      <Shown asked={asked}>
        {({ value, etag }) => (
          <div className="page-scroll">
            <Card title="Platform">
              <RecordForm
                key={etag}
                fields={settingsFields}
                initial={value as unknown as Draft}
                action="Save settings"
                wish={(draft) => ({ method: 'PUT', path: '/v1/settings', body: draft, etag })}
                onSubmit={(draft) => save(draft, etag)}
                readOnly={!mayChange}
              />
            </Card>
          </div>
        )}
      </Shown>
    </Page>
  );
}
