import { Button } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import type { ApiToken } from '../../api/types';
import { Confirm } from '../../parts/Confirm';
import { DataTable, type Column } from '../../parts/DataTable';
import { relative, time } from '../../parts/format';
import { RecordLink } from '../../parts/names';
import { Page } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { Password } from '../../records/Password';
import { NewToken } from './NewToken';

const columns: Column<ApiToken>[] = [
  { key: 'name', title: 'Name', cell: (token) => token.name },
  { key: 'role', title: 'Role', cell: (token) => token.role },
  {
    key: 'account',
    title: 'Account',
    cell: (token) => (token.account ? <RecordLink noun="accounts" id={token.account} /> : 'all'),
    wide: true,
  },
  {
    key: 'scopes',
    title: 'Scopes',
    cell: (token) => token.scopes?.join(', ') || 'all',
    wide: true,
  },
  {
    key: 'used',
    title: 'Last used',
    cell: (token) => (token.last_used_us ? relative(token.last_used_us) : 'never'),
  },
  {
    key: 'expires',
    title: 'Expires',
    cell: (token) => (token.expires_us ? relative(token.expires_us) : 'never'),
  },
  { key: 'created', title: 'Made', cell: (token) => time(token.created_us), wide: true },
  { key: 'id', title: 'Identifier', cell: (token) => token.id, kind: 'mono', wide: true },
  { key: 'delete', title: '', cell: (token) => <Delete token={token} /> },
];

/** Who may ask the API, and sign in here. */
export function TokensPage() {
  const [opened, setOpened] = useState(false);
  const [made, setMade] = useState<{ name: string; token: string } | null>(null);
  const asked = useQuery({ queryKey: ['tokens'], queryFn: () => body(api.GET('/v1/tokens')) });
  return (
    <Page title="Tokens" actions={<Button onClick={() => setOpened(true)}>New token</Button>}>
      <NewToken opened={opened} onClose={() => setOpened(false)} onMade={setMade} />
      {made && <Password of={`token ${made.name}`} value={made.token} />}
      <Shown asked={asked}>
        {(page) => (
          <DataTable
            label="Tokens"
            columns={columns}
            rows={page.items}
            rowKey={(token) => token.id}
          />
        )}
      </Shown>
    </Page>
  );
}

function Delete({ token }: { token: ApiToken }) {
  const client = useQueryClient();
  const remove = async () => {
    await body(api.DELETE('/v1/tokens/{id}', { params: { path: { id: token.id } } }));
    await client.invalidateQueries({ queryKey: ['tokens'] });
  };
  return (
    <Confirm
      compact
      action="Delete"
      label={`Delete token ${token.name}`}
      question={`Delete token ${token.name}?`}
      onConfirm={remove}
      wish={{ method: 'DELETE', path: `/v1/tokens/${token.id}` }}
    >
      Whoever uses it is refused from then on, and whoever is signed in with it is signed out.
    </Confirm>
  );
}
