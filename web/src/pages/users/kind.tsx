import { RecordLink } from '../../parts/names';
import { Enabled, limitsText, orUnknown } from '../../records/cells';
import { account, dtmf, enabled, enabledFilter, limits, name } from '../../records/fields';
import type { Kind } from '../../records/kind';
import { UserBeside } from './UserBeside';

export const users: Kind<'users'> = {
  noun: 'users',
  one: 'user',
  title: 'Users',
  about: 'No user. A user registers devices and is called by name.',
  topics: 'registrations',
  columns: [
    { key: 'name', title: 'Name', cell: (user) => user.name, kind: 'mono' },
    {
      key: 'display',
      title: 'Display name',
      cell: (user) => orUnknown(user.display_name),
      wide: true,
    },
    {
      key: 'number',
      title: 'Caller number',
      cell: (user) => orUnknown(user.caller_number),
      kind: 'mono',
    },
    {
      key: 'account',
      title: 'Account',
      cell: (user) => <RecordLink noun="accounts" id={user.account} />,
      wide: true,
    },
    { key: 'enabled', title: 'State', cell: (user) => <Enabled record={user} /> },
    { key: 'limits', title: 'Limits', cell: (user) => limitsText(user.limits), wide: true },
    { key: 'record', title: 'Recorded', cell: (user) => (user.record ? 'yes' : 'no'), wide: true },
  ],
  filters: [
    { name: 'name', label: 'Name' },
    { name: 'caller_number', label: 'Caller number' },
    { name: 'account', label: 'Account', of: 'accounts' },
    enabledFilter,
  ],
  fields: [
    {
      ...name,
      help: 'the user part of the address of record',
      input: { kind: 'text', mono: true },
    },
    account,
    { path: 'display_name', label: 'Display name', input: { kind: 'text' }, empty: '' },
    {
      path: 'caller_number',
      label: 'Caller number',
      help: 'shown to carriers and customers; empty: the name',
      input: { kind: 'text', mono: true },
      empty: null,
    },
    {
      path: 'password',
      label: 'Password',
      help: 'empty: it stays; a new user gets one that is shown once',
      input: { kind: 'password' },
    },
    enabled,
    {
      path: 'forking',
      label: 'Contacts ring',
      input: { kind: 'choice', options: ['parallel', 'sequential'] },
      section: 'Calls to the user',
    },
    {
      path: 'ring_timeout_s',
      label: 'Ring timeout (s)',
      help: '0: as in Settings',
      input: { kind: 'number', max: 600 },
      empty: 0,
    },
    {
      path: 'contacts_max',
      label: 'Contacts',
      help: 'registered at once; 0: as in Settings',
      input: { kind: 'number', max: 100 },
      empty: 0,
    },
    dtmf,
    { path: 'record', label: 'Record calls', input: { kind: 'switch' } },
    ...limits,
  ],
  fresh: {
    enabled: true,
    forking: 'parallel',
    ring_timeout_s: 0,
    contacts_max: 0,
    dtmf: 'rfc4733',
  },
  Beside: UserBeside,
};
