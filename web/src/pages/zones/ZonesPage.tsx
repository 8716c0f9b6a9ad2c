import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEvents } from '../../api/events';
import { useOpen } from '../../api/session';
import type { ClusterHealth, ZoneHealth } from '../../api/types';
import { DataTable, type Column } from '../../parts/DataTable';
import { count } from '../../parts/format';
import { Card, Page } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { capacityColumns } from './columns';
import { clusterHealthQuery, zoneHealthQuery, zoneLatencyQuery } from './health';
import { LatencyMatrix } from './LatencyMatrix';
import { ZoneMap } from './ZoneMap';

const zoneColumns: Column<ZoneHealth>[] = [
  { key: 'name', title: 'Zone', cell: (zone) => zone.name },
  ...capacityColumns<ZoneHealth>(),
  {
    key: 'media',
    title: 'Media servers',
    cell: (zone) => count(zone.media_servers),
    kind: 'figure',
    wide: true,
  },
];
const clusterColumns: Column<ClusterHealth>[] = [
  { key: 'name', title: 'Cluster', cell: (cluster) => cluster.name },
  ...capacityColumns<ClusterHealth>(),
  {
    key: 'limits',
    title: 'Limits together',
    cell: ({ limits }) => `${count(limits.channels)} channels, ${count(limits.cps)} CPS`,
    wide: true,
  },
];

/** Where servers stand and which belong together, with what they carry and what remains. */
export function ZonesPage() {
  useEvents('zones,clusters,servers');
  const navigate = useNavigate();
  const mayChange = useOpen('zones', 'change');
  const zones = useQuery(zoneHealthQuery);
  const clusters = useQuery(clusterHealthQuery);
  const latency = useQuery(zoneLatencyQuery);
  const open = (path: string) => void navigate({ to: path });
  const actions = mayChange && (
    <>
      <Button onClick={() => open('/zones/new')}>New zone</Button>
      <Button onClick={() => open('/clusters/new')}>New cluster</Button>
    </>
  );
  return (
    <Page title="Zones & clusters" actions={actions}>
      <div className="page-scroll">
        <Shown asked={zones}>
          {(page) => (
            <>
              <Card title="Zones">
                <DataTable
                  fits
                  label="Zones"
                  columns={zoneColumns}
                  rows={page.items}
                  rowKey={(zone) => zone.zone}
                  to={(zone) => `/zones/${zone.zone}`}
                  empty="No zone: all servers stand in one place."
                />
              </Card>
              {page.items.some(({ latitude }) => latitude != null) && (
                <div style={{ marginTop: 12 }}>
                  <Card title="Map">
                    <ZoneMap zones={page.items} />
                  </Card>
                </div>
              )}
            </>
          )}
        </Shown>
        {latency.data && latency.data.items.length > 0 && (
          <div style={{ marginTop: 12 }}>
            <Card title="Latency between zones">
              <LatencyMatrix pairs={latency.data.items} />
            </Card>
          </div>
        )}
        <div style={{ marginTop: 12 }}>
          <Card title="Clusters">
            <Shown asked={clusters}>
              {(page) => (
                <DataTable
                  fits
                  label="Clusters"
                  columns={clusterColumns}
                  rows={page.items}
                  rowKey={(cluster) => cluster.cluster}
                  to={(cluster) => `/clusters/${cluster.cluster}`}
                  empty="No cluster: each server is on its own."
                />
              )}
            </Shown>
          </Card>
        </div>
      </div>
    </Page>
  );
}
