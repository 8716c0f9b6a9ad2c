import { fieldOf, fieldsOf } from './field';

export const name = fieldOf({
  path: 'name',
  label: 'Name',
  input: { kind: 'text' },
  required: true,
});

export const enabled = fieldOf({ path: 'enabled', label: 'Enabled', input: { kind: 'switch' } });

export const account = fieldOf({
  path: 'account',
  label: 'Account',
  input: { kind: 'record', of: 'accounts' },
  required: true,
});

export const accountOrAll = fieldOf({
  path: 'account',
  label: 'Account',
  help: 'empty: all accounts',
  input: { kind: 'record', of: 'accounts' },
  empty: null,
});

export const limits = fieldsOf(
  {
    path: 'limits.cps',
    label: 'CPS',
    help: 'new calls per second; empty: no limit',
    input: { kind: 'number', max: 1_000_000 },
    empty: null,
    section: 'Limits',
  },
  {
    path: 'limits.channels',
    label: 'Channels',
    help: 'calls in progress; empty: no limit',
    input: { kind: 'number', max: 100_000_000 },
    empty: null,
  },
);

export const rewrite = fieldsOf(
  {
    path: 'rewrite.strip_digits',
    label: 'Strip digits',
    help: 'leading digits taken off the called number',
    input: { kind: 'number', max: 32 },
    empty: 0,
    section: 'Rewriting of the called number',
  },
  {
    path: 'rewrite.prepend',
    label: 'Prepend',
    help: 'then put before the rest',
    input: { kind: 'text', mono: true },
    empty: '',
  },
);

export const dtmf = fieldOf({
  path: 'dtmf',
  label: 'DTMF',
  input: { kind: 'choice', options: ['rfc4733', 'info', 'inband'] },
});

export const zone = fieldOf({
  path: 'zone',
  label: 'Zone',
  help: 'empty if there is but one',
  input: { kind: 'record', of: 'zones', by: 'name' },
  empty: '',
});

export const cluster = fieldOf({
  path: 'cluster',
  label: 'Cluster',
  help: 'empty: it is on its own',
  input: { kind: 'record', of: 'clusters', by: 'name' },
  empty: '',
});

export const mediaZone = fieldOf({
  path: 'media_zone',
  label: 'Media zone',
  help: 'empty: by measured delay',
  input: { kind: 'record', of: 'zones', by: 'name' },
  empty: null,
});

export const media = fieldOf({
  path: 'media',
  label: 'Media',
  help: 'empty: as in Settings',
  input: { kind: 'choice', options: ['relay', 'bypass'] },
  empty: null,
});

export const enabledFilter = {
  name: 'enabled',
  label: 'Enabled',
  options: [
    { value: 'true', label: 'enabled' },
    { value: 'false', label: 'disabled' },
  ],
};
