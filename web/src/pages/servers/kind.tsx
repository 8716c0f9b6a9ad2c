import { cluster, name, zone } from '../../records/fields';
import type { Kind } from '../../records/kind';
import { ServerBelow, ServerBeside } from './ServerBeside';

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
    zone,
    cluster,
  ],
  fresh: {},
  Beside: ServerBeside,
  Below: ServerBelow,
};
