import { Alert } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { lazy } from 'react';
import { useEvents } from '../../api/events';
import { useOpen } from '../../api/session';
import type { ServerHealth } from '../../api/types';
import { DataTable } from '../../parts/DataTable';
import { count } from '../../parts/format';
import { Card, Figure, Page } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { cdrColumns } from '../cdrs/columns';
import { gatewayHealthQuery } from '../gateways/health';
import { mediaServerHealthQuery } from '../media-servers/health';
import { zoneHealthQuery } from '../zones/health';
import { ZoneMap } from '../zones/ZoneMap';
import { serversHealthQuery } from '../servers/health';
import { HistoryGraphs } from './HistoryGraphs';
import { historyQuery, pointsOf } from './history';
import { readinessQuery } from './readiness';
import { failuresQuery, figuresOf, recentQuery } from './recent';
import { reportsOf, verdict, type Verdict } from './verdict';

const CallsPage = lazy(() =>
  import('../calls/CallsPage').then((m) => ({ default: m.CallsPage })),
);

/** How the platform is, at a glance; for who sees one account of it, that account's calls. */
export function OverviewPage() {
  return useOpen('limits') ? <Overview /> : <CallsPage />;
}

function Overview() {
  useEvents('gateways,media,media-servers,registrations,servers');
  const servers = useQuery(serversHealthQuery);
  const readiness = useQuery(readinessQuery);
  const gateways = useQuery(gatewayHealthQuery);
  const mediaServers = useQuery(mediaServerHealthQuery);
  const said = verdict({
    readiness: readiness.error ? undefined : readiness.data,
    servers: servers.error ? undefined : servers.data?.items,
    gateways: gateways.data?.items,
    mediaServers: mediaServers.data?.items,
  });
  return (
    <Page title="Overview">
      <div className="page-scroll">
        <Alert color={COLOURS[said.level]} role="status" py={8} mb={12} data-testid="verdict">
          {said.words}
        </Alert>
        <Shown asked={servers}>{({ items }) => <Figures of={items} />}</Shown>
        <Zones />
        <HistoryGraphs />
        <Failures />
      </div>
    </Page>
  );
}

/** What all switches together have now. */
function Figures({ of: servers }: { of: ServerHealth[] }) {
  const reports = reportsOf(servers);
  const sum = (of: (report: Report) => number) => count(reports.reduce((n, r) => n + of(r), 0));
  const { data: hour } = useQuery(historyQuery(3600));
  const attempts = hour && pointsOf(hour, 'attempts').filter((n) => n != null);
  const attempted = attempts?.length ? attempts.reduce((n, one) => n + one) : undefined;
  return (
    <div className="figures">
      <Figure label="channels in use">{sum(({ channels }) => channels)}</Figure>
      <Figure label="new calls a second (CPS)">{sum(({ cps }) => cps)}</Figure>
      <Figure label="attempts in the last 60 full minutes">{count(attempted)}</Figure>
      <Figure label="registrations">{sum(({ registrations }) => registrations)}</Figure>
      <Recent />
    </div>
  );
}

/** Zones on a map, where there are some that have a place. */
function Zones() {
  const { data } = useQuery(zoneHealthQuery);
  const zones = data?.items ?? [];
  if (!zones.some(({ latitude }) => latitude != null)) return null;
  return (
    <div style={{ marginTop: 12 }}>
      <Card title="Zones">
        <ZoneMap zones={zones} />
      </Card>
    </div>
  );
}

/** Figures of the calls that ended last: say of how many. */
function Recent() {
  const { data } = useQuery(recentQuery);
  const figures = figuresOf(data?.items ?? []);
  const count = data?.items.length ?? 0;
  const of = count > 1 ? `of the last ${count} calls` : 'of the last call';
  return (
    <>
      <Figure label={`ASR ${of}`}>{figures.asr}</Figure>
      <Figure label={`ACD ${of}`}>{figures.acd}</Figure>
      <Figure label={`median PDD ${of}`}>{figures.pdd}</Figure>
    </>
  );
}

function Failures() {
  const asked = useQuery(failuresQuery);
  const shown = ['started', 'caller', 'called', 'status', 'reason', 'carrier'];
  return (
    <div style={{ marginTop: 12 }}>
      <Card title="Calls that failed last">
        <Shown asked={asked}>
          {(page) => (
            <DataTable
              fits
              label="Calls that failed last"
              columns={cdrColumns.filter(({ key }) => shown.includes(key))}
              rows={page.items}
              rowKey={(cdr) => cdr.call}
              to={(cdr) => `/calls/${cdr.call}`}
              empty="No call has failed."
            />
          )}
        </Shown>
      </Card>
    </div>
  );
}

type Report = NonNullable<ServerHealth['report']>;

const COLOURS: Record<Verdict['level'], string> = {
  good: 'green',
  degraded: 'yellow',
  bad: 'red',
  unknown: 'gray',
};
