import { useQuery } from '@tanstack/react-query';
import type { Zone } from '../../api/types';
import { count } from '../../parts/format';
import { Card } from '../../parts/Page';
import { name } from '../../records/fields';
import type { Kind } from '../../records/kind';
import { zoneHealthQuery } from './health';
import { Members } from './Members';
import { ZoneMap } from './ZoneMap';

export const zones: Kind<'zones'> = {
  noun: 'zones',
  one: 'zone',
  title: 'Zones',
  about: 'No zone: all servers stand in one place.',
  topics: 'servers',
  columns: [],
  filters: [],
  fields: [
    name,
    {
      path: 'latitude',
      label: 'Latitude',
      help: 'degrees north; south is negative',
      input: { kind: 'number', min: -90, max: 90, decimal: true },
      empty: null,
    },
    {
      path: 'longitude',
      label: 'Longitude',
      help: 'degrees east; west is negative',
      input: { kind: 'number', min: -180, max: 180, decimal: true },
      empty: null,
    },
  ],
  fresh: {},
  Beside: ZoneBeside,
};

function ZoneBeside({ record }: { record: Zone }) {
  const { data } = useQuery(zoneHealthQuery);
  const health = data?.items.find(({ zone }) => zone === record.id);
  return (
    <>
      <Members field="zone" name={record.name} capacity={health?.capacity} />
      {health && health.latitude != null && (
        <Card title="Map">
          <ZoneMap zones={[health]} />
        </Card>
      )}
      {health && health.media_servers > 0 && (
        <Card title="Media servers">{count(health.media_servers)} in this zone.</Card>
      )}
    </>
  );
}
