import { Alert } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { lazy } from 'react';
import { useEvents } from '../../api/events';
import { metricsQuery } from '../../api/metrics';
import { useOpen } from '../../api/session';
import { DataTable } from '../../parts/DataTable';
import { count } from '../../parts/format';
import { Card, Figure, Page } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { cdrColumns } from '../cdrs/columns';
import { gatewayHealthQuery } from '../gateways/health';
import { mediaServerHealthQuery } from '../media-servers/health';
import { zoneHealthQuery } from '../zones/health';
import { ZoneMap } from '../zones/ZoneMap';
import { HistoryGraphs } from './HistoryGraphs';
import { cpsOf } from './rate';
import { readinessQuery } from './readiness';
import { failuresQuery, figuresOf, recentQuery } from './recent';
import { verdict, type Verdict } from './verdict';

const CallsPage = lazy(() =>
  import('../calls/CallsPage').then((m) => ({ default: m.CallsPage })),
);

/** How the platform is, at a glance; for who sees one account of it, that account's calls. */
export function OverviewPage() {
  return useOpen('limits') ? <Overview /> : <CallsPage />;
}

function Overview() {
  useEvents('gateways,media,media-servers,registrations');
  const metrics = useQuery(metricsQuery);
  const readiness = useQuery(readinessQuery);
  const gateways = useQuery(gatewayHealthQuery);
  const mediaServers = useQuery(mediaServerHealthQuery);
  const fresh = metrics.error ? undefined : metrics.data;
  const said = verdict({
    readiness: readiness.error ? undefined : readiness.data,
    calls: fresh?.sum('tandem_calls'),
    gateways: gateways.data?.items,
    mediaServers: mediaServers.data?.items,
  });
  return (
    <Page title="Overview">
      <div className="page-scroll">
        <Alert color={COLOURS[said.level]} role="status" py={8} mb={12} data-testid="verdict">
          {said.words}
        </Alert>
        <Shown asked={metrics}>
          {(measured) => (
            <div className="figures">
              <Figure label="channels in use">{count(measured.sum('tandem_calls'))}</Figure>
              <Figure label="new calls a second (CPS)">{rate(cpsOf(measured))}</Figure>
              <Figure label="most CPS in 5 min">{count(measured.sum('tandem_cps_peak_5m'))}</Figure>
              <Figure label="attempts since the start">
                {count(measured.sum('tandem_call_attempts_total'))}
              </Figure>
              <Figure label="registrations">{count(measured.sum('tandem_registrations'))}</Figure>
              <Recent />
            </div>
          )}
        </Shown>
        <Zones />
        <HistoryGraphs />
        <Failures />
      </div>
    </Page>
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
  const of = count === 1 ? 'of the last call' : `of the last ${count} calls`;
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

const rate = (cps: number | null | undefined) =>
  cps == null ? '—' : cps.toFixed(cps < 10 ? 1 : 0);

const COLOURS: Record<Verdict['level'], string> = {
  good: 'green',
  degraded: 'yellow',
  bad: 'red',
  unknown: 'gray',
};
