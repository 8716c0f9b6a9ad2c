import { useQuery } from '@tanstack/react-query';
import type { Cluster } from '../../api/types';
import { count } from '../../parts/format';
import { limits, name } from '../../records/fields';
import type { Kind } from '../../records/kind';
import { shareColumns } from '../zones/columns';
import { clusterHealthQuery } from '../zones/health';
import { Members } from '../zones/Members';

export const clusters: Kind<'clusters'> = {
  noun: 'clusters',
  one: 'cluster',
  title: 'Clusters',
  about: 'No cluster: each server is on its own.',
  topics: 'servers',
  columns: [
    { key: 'name', title: 'Name', cell: (cluster) => cluster.name },
    { key: 'cps', title: 'CPS', cell: (cluster) => count(cluster.limits?.cps), kind: 'figure' },
    {
      key: 'channels',
      title: 'Channels',
      cell: (cluster) => count(cluster.limits?.channels),
      kind: 'figure',
    },
  ],
  filters: [{ name: 'name', label: 'Name' }],
  fields: [name, ...limits],
  fresh: {},
  Beside: ClusterBeside,
};

function ClusterBeside({ record }: { record: Cluster }) {
  const { data } = useQuery(clusterHealthQuery);
  const health = data?.items.find(({ cluster }) => cluster === record.id);
  return (
    <Members
      field="cluster"
      name={record.name}
      capacity={health?.capacity}
      more={shareColumns}
    />
  );
}
