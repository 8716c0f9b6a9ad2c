import type { Kind } from '../../records/kind';
import { Enabled, limitsText } from '../../records/cells';
import { enabled, enabledFilter, limits, name } from '../../records/fields';

export const accounts: Kind<'accounts'> = {
  noun: 'accounts',
  one: 'account',
  title: 'Accounts',
  about:
    'No account. An account is a tenant: it owns users, numbers, customers, carriers and routes.',
  columns: [
    { key: 'name', title: 'Name', cell: (account) => account.name },
    { key: 'enabled', title: 'State', cell: (account) => <Enabled record={account} /> },
    { key: 'limits', title: 'Limits', cell: (account) => limitsText(account.limits) },
    { key: 'id', title: 'Identifier', cell: (account) => account.id, kind: 'mono', wide: true },
  ],
  filters: [{ name: 'name', label: 'Name' }, enabledFilter],
  fields: [
    name,
    enabled,
    {
      path: 'music_on_hold',
      label: 'Music on hold',
      help: 'a WAV file on the server; empty: as in Settings',
      input: { kind: 'text', mono: true },
      empty: null,
    },
    ...limits,
  ],
  fresh: { enabled: true },
};
