import type { Customer } from '../../api/types';
import { RecordLink } from '../../parts/names';
import { Enabled, limitsText } from '../../records/cells';
import { valueAt, type Draft } from '../../records/field';
import {
  account,
  enabled,
  enabledFilter,
  limits,
  media,
  mediaZone,
  name,
  rewrite,
} from '../../records/fields';
import type { Kind } from '../../records/kind';

export const customers: Kind<'customers'> = {
  noun: 'customers',
  one: 'customer',
  title: 'Customers',
  about:
    'No customer. A customer sends us calls for carriers and numbers from a switch of its own.',
  columns: [
    { key: 'name', title: 'Name', cell: (customer) => customer.name },
    { key: 'auth', title: 'Known by', cell: knownBy, kind: 'mono' },
    {
      key: 'account',
      title: 'Account',
      cell: (customer) => <RecordLink noun="accounts" id={customer.account} />,
      wide: true,
    },
    { key: 'enabled', title: 'State', cell: (customer) => <Enabled record={customer} /> },
    { key: 'limits', title: 'Limits', cell: (customer) => limitsText(customer.limits), wide: true },
  ],
  filters: [
    { name: 'name', label: 'Name' },
    {
      name: 'auth.kind',
      label: 'Known by',
      options: ['address', 'digest', 'certificate'].map((value) => ({ value, label: value })),
    },
    { name: 'account', label: 'Account', of: 'accounts' },
    enabledFilter,
  ],
  fields: [
    name,
    account,
    enabled,
    {
      path: 'host',
      label: 'Takes calls at',
      help: 'host[:port], for its numbers',
      input: { kind: 'text', mono: true },
      empty: null,
    },
    {
      path: 'auth.kind',
      label: 'Known by',
      input: { kind: 'choice', options: ['address', 'digest', 'certificate'] },
      required: true,
      section: 'Authentication',
    },
    {
      path: 'auth.networks',
      label: 'Networks',
      help: 'one a line: 192.0.2.0/24',
      input: { kind: 'lines' },
      when: isKnownBy('address'),
    },
    {
      path: 'auth.auth_name',
      label: 'Authentication name',
      input: { kind: 'text', mono: true },
      required: true,
      when: isKnownBy('digest'),
    },
    {
      path: 'auth.password',
      label: 'Password',
      help: 'empty: it stays; a new one is shown once',
      input: { kind: 'password' },
      when: isKnownBy('digest'),
    },
    {
      path: 'auth.names',
      label: 'Names in the certificate',
      help: 'one a line',
      input: { kind: 'lines' },
      when: isKnownBy('certificate'),
    },
    { ...media, section: 'Media' },
    mediaZone,
    ...rewrite,
    ...limits,
  ],
  fresh: { enabled: true, auth: { kind: 'address', networks: [] } },
  finish: (draft) => ({ ...draft, auth: auth(draft.auth as Draft) }),
};

function isKnownBy(kind: string) {
  return (draft: Draft) => valueAt(draft, 'auth.kind') === kind;
}

/** Without what another way of knowing it would have. */
function auth({ kind, networks, names, auth_name, password }: Draft): Draft {
  if (kind === 'address') return { kind, networks: networks ?? [] };
  if (kind === 'certificate') return { kind, names: names ?? [] };
  return { kind, auth_name: auth_name ?? '', ...(password ? { password } : {}) };
}

function knownBy({ auth }: Customer): string {
  switch (auth.kind) {
    case 'address':
      return auth.networks.join(', ');
    case 'certificate':
      return auth.names.join(', ');
    case 'digest':
      return auth.auth_name;
  }
}
