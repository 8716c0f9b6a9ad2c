import { Button, CopyButton, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { api, body } from '../../api/client';
import type { NewJoinToken, ServerRole } from '../../api/types';
import { relative } from '../../parts/format';
import { Card, Page } from '../../parts/Page';
import { cluster as clusterField, name, zone as zoneField } from '../../records/fields';
import type { Draft, Field } from '../../records/field';
import { RecordForm } from '../../records/RecordForm';

const ROLES: ServerRole[] = ['switch', 'dispatcher', 'media'];

const fields: Field[] = [
  { ...name, required: false, help: 'empty: as the machine is called' },
  {
    path: 'role',
    label: 'What it will do',
    help: 'a switch takes calls, a dispatcher spreads them, a media server relays them',
    input: { kind: 'choice', options: ROLES },
  },
  zoneField,
  clusterField,
  {
    path: 'minutes',
    label: 'The token is good for (min)',
    input: { kind: 'number', min: 1, max: 10_080 },
  },
];

/** What a machine is started by. */
const PROGRAMS: Record<ServerRole, string> = {
  switch: 'tandem up',
  dispatcher: 'tandem dispatcher',
  media: 'tandem media',
};

/** Makes a token by which a machine joins, and waits for the machine. */
export function JoinPage() {
  const [made, setMade] = useState<NewJoinToken | null>(null);
  return (
    <Page title="Join a machine">
      {made ? (
        <Made made={made} />
      ) : (
        <Card title="What it will be">
          <RecordForm
            fields={fields}
            initial={{ minutes: 60, role: 'switch' }}
            action="Create token"
            wish={(draft) => ({ method: 'POST', path: '/v1/join-tokens', body: asked(draft) })}
            onSubmit={async (draft) =>
              setMade(await body(api.POST('/v1/join-tokens', { body: asked(draft) })))
            }
          />
        </Card>
      )}
    </Page>
  );
}

function Made({ made }: { made: NewJoinToken }) {
  const command = `tandem node join ${location.hostname}:${made.port} ${made.token}`;
  const { data } = useQuery({
    queryKey: ['servers', 'joining'],
    queryFn: () => body(api.GET('/v1/server-health')),
    refetchInterval: 1000,
  });
  const found = data?.items.find(
    (server) =>
      (!made.name || server.name === made.name) &&
      server.server.slice(4) > made.id.slice(3) &&
      server.certificate_expires_us != null,
  );
  return (
    <>
      <Card title="On the machine">
        <Text size="sm">
          The token is shown only now, and good for one machine. It expires{' '}
          {relative(made.expires_us)}. Then start it there with <code>{PROGRAMS[made.role]}</code>.
        </Text>
        <pre className="command mono" aria-label="command">
          {command}
        </pre>
        <CopyButton value={command}>
          {({ copied, copy }) => (
            <Button variant="default" onClick={copy}>
              {copied ? 'Copied' : 'Copy'}
            </Button>
          )}
        </CopyButton>
      </Card>
      <Card title="The machine">
        {found ? (
          <Text size="sm">
            <Link to={`/servers/${found.server}` as string}>{found.name}</Link> has joined:{' '}
            {found.cause}.
          </Text>
        ) : (
          <Text size="sm" c="dimmed">
            It has not joined yet.
          </Text>
        )}
      </Card>
    </>
  );
}

function asked({ name, role, zone, cluster, minutes }: Draft) {
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  return {
    name: text(name),
    zone: text(zone),
    cluster: text(cluster),
    role: ROLES.find((known) => known === role) ?? 'switch',
    valid_s: typeof minutes === 'number' ? minutes * 60 : 3600,
  };
}
