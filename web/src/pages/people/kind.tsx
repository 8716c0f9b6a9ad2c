import type { Person } from '../../api/types';
import { RecordLink } from '../../parts/names';
import { Enabled, orUnknown } from '../../records/cells';
import type { Draft } from '../../records/field';
import { enabled, enabledFilter, name } from '../../records/fields';
import type { Kind } from '../../records/kind';
import { PersonBeside } from './PersonBeside';

const ROLES = ['viewer', 'operator', 'admin'];

export const people: Kind<'people', 'password'> = {
  noun: 'people',
  one: 'person',
  title: 'People',
  about: 'Nobody signs in with a name and a password.',
  columns: [
    { key: 'name', title: 'Name', cell: (person) => person.name },
    {
      key: 'display',
      title: 'Display name',
      cell: (person) => orUnknown(person.display_name),
      wide: true,
    },
    { key: 'role', title: 'Role', cell: (person) => person.role },
    { key: 'account', title: 'Account', cell: (person) => <Where person={person} /> },
    {
      key: 'zones',
      title: 'Zones',
      cell: (person) => <Zones ids={person.zones ?? []} />,
      wide: true,
    },
    { key: 'sign_in', title: 'Signs in by', cell: (person) => person.sign_in, wide: true },
    { key: 'enabled', title: 'State', cell: (person) => <Enabled record={person} />, wide: true },
    {
      key: 'factor',
      title: 'Second factor',
      cell: (person) => (person.second_factor ? 'yes' : 'no'),
      wide: true,
    },
  ],
  filters: [
    { name: 'name', label: 'Name' },
    { name: 'role', label: 'Role', options: ROLES.map((role) => ({ value: role, label: role })) },
    { name: 'account', label: 'Account', of: 'accounts' },
    enabledFilter,
  ],
  fields: [
    { ...name, help: 'what they sign in with: lower-case letters, digits, . _ @ -' },
    { path: 'display_name', label: 'Display name', input: { kind: 'text' }, empty: '' },
    {
      path: 'role',
      label: 'Role',
      help: 'viewer reads; operator changes records; admin all',
      input: { kind: 'choice', options: ROLES },
      required: true,
    },
    {
      path: 'account',
      label: 'Account',
      help: 'nothing else is shown to them; empty: the whole platform',
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
      path: 'sign_in',
      label: 'Signs in by',
      help: 'oidc: the provider of the settings',
      input: { kind: 'choice', options: ['password', 'oidc'] },
      required: true,
    },
    {
      path: 'password',
      label: 'Password',
      help: 'empty: it stays; who signs in by one gets one at first, shown once',
      input: { kind: 'password' },
    },
    enabled,
  ],
  fresh: { enabled: true, role: 'viewer', sign_in: 'password', zones: [] } satisfies Draft,
  Beside: PersonBeside,
};

function Zones({ ids }: { ids: string[] }) {
  if (ids.length === 0) return 'all';
  return ids.map((id, place) => (
    <span key={id}>
      {place > 0 && ', '}
      <RecordLink noun="zones" id={id} />
    </span>
  ));
}

function Where({ person }: { person: Person }) {
  if (!person.account) return 'all';
  return <RecordLink noun="accounts" id={person.account} />;
}
