import { RecordLink } from '../../parts/names';
import { Enabled } from '../../records/cells';
import { enabled, enabledFilter, name } from '../../records/fields';
import type { Kind } from '../../records/kind';

export const devices: Kind<'devices'> = {
  noun: 'devices',
  one: 'device',
  title: 'Devices',
  about:
    'No device. A device is one phone of a user with an authentication name and secret of its own.',
  columns: [
    { key: 'name', title: 'Name', cell: (device) => device.name },
    { key: 'user', title: 'User', cell: (device) => <RecordLink noun="users" id={device.user} /> },
    { key: 'auth', title: 'Authentication name', cell: (device) => device.auth_name, kind: 'mono' },
    { key: 'enabled', title: 'State', cell: (device) => <Enabled record={device} /> },
  ],
  filters: [
    { name: 'name', label: 'Name' },
    { name: 'auth_name', label: 'Authentication name' },
    { name: 'user', label: 'User', of: 'users' },
    enabledFilter,
  ],
  fields: [
    name,
    { path: 'user', label: 'User', input: { kind: 'record', of: 'users' }, required: true },
    {
      path: 'auth_name',
      label: 'Authentication name',
      help: 'the digest user name, unique among users and devices',
      input: { kind: 'text', mono: true },
      required: true,
    },
    {
      path: 'password',
      label: 'Password',
      help: 'empty: it stays; a new device gets one that is shown once',
      input: { kind: 'password' },
    },
    enabled,
  ],
  fresh: { enabled: true },
};
