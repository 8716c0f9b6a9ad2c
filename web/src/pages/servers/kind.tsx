import { name } from '../../records/fields';
import type { Kind } from '../../records/kind';
import { ServerBeside } from './ServerBeside';

export const servers: Kind<'servers'> = {
  noun: 'servers',
  one: 'server',
  title: 'Servers',
  about: 'This platform is one machine.',
  topics: 'tasks',
  columns: [],
  filters: [],
  fields: [
    name,
    { path: 'zone', label: 'Zone', help: 'empty: there is but one', input: { kind: 'text' }, empty: '' },
    {
      path: 'cluster',
      label: 'Cluster',
      help: 'empty: there is but one',
      input: { kind: 'text' },
      empty: '',
    },
  ],
  fresh: {},
  Beside: ServerBeside,
};
