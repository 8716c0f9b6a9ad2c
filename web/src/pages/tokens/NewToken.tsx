import { Modal } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import type { Role } from '../../api/types';
import type { Draft, Field } from '../../records/field';
import { RecordForm } from '../../records/RecordForm';

interface Props {
  opened: boolean;
  onClose: () => void;
  onMade: (made: { name: string; token: string }) => void;
}

const fields: Field[] = [
  { path: 'name', label: 'Name', help: 'whose it is', input: { kind: 'text' }, required: true },
  {
    path: 'role',
    label: 'Role',
    help: 'viewer reads; operator changes records; admin all',
    input: { kind: 'choice', options: ['viewer', 'operator', 'admin'] },
    required: true,
  },
  {
    path: 'account',
    label: 'Account',
    help: 'empty: the whole platform',
    input: { kind: 'record', of: 'accounts' },
    empty: null,
  },
  {
    path: 'zones',
    label: 'Zones',
    help: 'servers, calls and events of these alone; none: all',
    input: { kind: 'records', of: 'zones' },
  },
  {
    path: 'scopes',
    label: 'Scopes',
    help: 'areas such as cdrs or users:read, one a line; empty: all that the role may',
    input: { kind: 'lines' },
  },
  {
    path: 'days',
    label: 'Lasts (days)',
    help: 'empty: for ever',
    input: { kind: 'number', min: 1 },
  },
];

/** Makes a token. */
export function NewToken({ opened, onClose, onMade }: Props) {
  const client = useQueryClient();
  const create = async (draft: Draft) => {
    const made = await body(api.POST('/v1/tokens', { body: asked(draft) }));
    onMade(made);
    onClose();
    await client.invalidateQueries({ queryKey: ['tokens'] });
  };
  return (
    <Modal opened={opened} onClose={onClose} title="New token">
      <RecordForm
        fields={fields}
        initial={{ role: 'viewer' }}
        action="Create token"
        wish={(draft) => ({ method: 'POST', path: '/v1/tokens', body: asked(draft) })}
        onSubmit={create}
      />
    </Modal>
  );
}

/** The API has the end of a token in microseconds since the Unix epoch. */
function asked({ name, role, account, zones, scopes, days }: Draft) {
  const now = Math.floor(Date.now() / 60_000) * 60_000;
  const expires_us = typeof days === 'number' ? (now + days * 86_400_000) * 1000 : null;
  return {
    name: (name as string | undefined) ?? '',
    role: role as Role,
    account: (account as string | null | undefined) ?? null,
    zones: (zones as string[] | undefined) ?? [],
    scopes: (scopes as string[] | undefined) ?? [],
    expires_us,
  };
}
