import { Group, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import type { Person } from '../../api/types';
import { Confirm } from '../../parts/Confirm';
import { time } from '../../parts/format';
import { Card } from '../../parts/Page';

/** How somebody signs in, and help for who cannot. */
export function PersonBeside({ record }: { record: Person }) {
  const client = useQueryClient();
  const path = { id: record.id };
  const unlock = async () => {
    await body(api.POST('/v1/people/{id}/unlock', { params: { path } }));
    notifications.show({ message: `${record.name} may try again` });
  };
  const withoutFactor = async () => {
    const params = { path, header: { 'If-Match': '*' } };
    await body(api.PATCH('/v1/people/{id}', { params, body: { second_factor: null } }));
    await client.invalidateQueries({ queryKey: ['people'] });
  };
  const withoutProvider = async () => {
    const params = { path, header: { 'If-Match': '*' } };
    await body(api.PATCH('/v1/people/{id}', { params, body: { oidc: null } }));
    await client.invalidateQueries({ queryKey: ['people'] });
  };
  return (
    <Card title="Signing in">
      {record.sign_in === 'oidc' && <ByProvider record={record} />}
      <Text size="sm" mb="sm">
        {record.sign_in === 'oidc' && 'If they have a password here, it is good, too. '}
        {record.second_factor
          ? `With a second factor since ${time(record.second_factor.since_us)}.`
          : 'With the password alone. A second factor is set up on the page Your account, by whoever has it.'}
      </Text>
      <Group>
        <Confirm
          action="Unlock"
          question={`Let ${record.name} try again?`}
          onConfirm={unlock}
          wish={{ method: 'POST', path: `/v1/people/${record.id}/unlock` }}
        >
          After five wrong passwords a name rests for a while, on each node.
        </Confirm>
        {record.oidc && (
          <Confirm
            action="Forget the provider’s account"
            question={`Let somebody else of the provider be ${record.name}?`}
            onConfirm={withoutProvider}
          >
            Whoever signs in by the provider next with this name is this person from then on. Their
            sessions end.
          </Confirm>
        )}
        {record.second_factor && (
          <Confirm
            action="Remove second factor"
            question={`Remove the second factor of ${record.name}?`}
            onConfirm={withoutFactor}
            wish={{
              method: 'PATCH',
              path: `/v1/people/${record.id}`,
              body: { second_factor: null },
              etag: '*',
            }}
          >
            The password alone is enough from then on. It is meant for who has lost the app and the
            recovery codes.
          </Confirm>
        )}
      </Group>
    </Card>
  );
}

/** Who the provider says it is. */
function ByProvider({ record }: { record: Person }) {
  return (
    <Text size="sm" mb="xs">
      {record.oidc ? (
        <>
          By {record.oidc.issuer}, as <span className="mono">{record.oidc.subject}</span>.
        </>
      ) : (
        'By the provider of the settings; they have not done so yet.'
      )}
    </Text>
  );
}
