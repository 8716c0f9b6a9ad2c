import { useQuery } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import { metricsQuery, type Metrics } from '../../api/metrics';
import { count, UNKNOWN } from '../../parts/format';
import { Card, Facts, Page } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { StateBadge } from '../../parts/StateBadge';
import { readinessQuery } from '../overview/readiness';
import { ArrayServers } from './ArrayServers';
import { Listeners } from './Listeners';
import { Presented } from './Presented';

/** The server that this panel came from. */
export function ServerPage() {
  const readiness = useQuery(readinessQuery);
  const metrics = useQuery(metricsQuery);
  const version = useQuery({ queryKey: ['version'], queryFn: () => body(api.GET('/v1/version')) });
  const { data: ready } = readiness;
  return (
    <Page title="This server">
      <div className="page-scroll">
        <div className="cards">
          <Card title="State">
            <Shown asked={readiness}>
              {() => (
                <Facts
                  facts={[
                    [
                      'Takes calls',
                      ready ? <StateBadge state={ready.ready ? 'ready' : 'not ready'} /> : UNKNOWN,
                    ],
                    ['In the way', ready?.problems.join('; ') || 'nothing'],
                    ['Address', <span className="mono">{location.host}</span>],
                    ['Version', version.data?.version ?? UNKNOWN],
                  ]}
                />
              )}
            </Shown>
          </Card>
          <Card title="Use">
            <Shown asked={metrics}>{(measured) => <Facts facts={use(measured)} />}</Shown>
          </Card>
          <Card title="Cluster">
            <Shown asked={metrics}>{(measured) => <Facts facts={cluster(measured)} />}</Shown>
          </Card>
        </div>
        <div style={{ height: 12 }} />
        <Listeners />
        <Presented />
        <ArrayServers />
      </div>
    </Page>
  );
}

function use(metrics: Metrics): [string, string][] {
  const of = (part: string, whole: string) =>
    `${count(metrics.sum(part))} of ${limit(metrics, whole)}`;
  return [
    ['Channels', of('tandem_calls', 'tandem_calls_limit')],
    ['Most channels in 5 min', count(metrics.sum('tandem_calls_peak_5m'))],
    ['Most CPS in 5 min', count(metrics.sum('tandem_cps_peak_5m'))],
    ['Registrations here', count(metrics.sum('tandem_registrations'))],
    ['SIP transactions', count(metrics.sum('tandem_sip_transactions'))],
    ['SIP connections', count(metrics.sum('tandem_sip_connections'))],
    ['Media sessions', count(metrics.sum('tandem_rtp_sessions'))],
    [
      'RTP ports',
      `${count(metrics.sum('tandem_rtp_ports_used'))} used, ${count(metrics.sum('tandem_rtp_ports_free'))} free`,
    ],
    ['Configuration revision', count(metrics.sum('tandem_config_revision'))],
    [
      'CDR journal waits for the disk',
      `${count(metrics.sum('tandem_cdr_journal_pending_bytes'))} bytes`,
    ],
  ];
}

function limit(metrics: Metrics, name: string): string {
  const allowed = metrics.sum(name);
  return allowed === undefined ? 'any' : count(allowed);
}

/** Without a live store a node is alone: nothing of others is known then. */
function cluster(metrics: Metrics): [string, string][] {
  const up = metrics.sum('tandem_live_store_up');
  if (up === undefined) return [['Members', 'this node alone (it was started without --live)']];
  const elsewhere = metrics.sum('tandem_registrations_elsewhere');
  return [
    ['Members', count(metrics.sum('tandem_cluster_nodes'))],
    ['Live store', up ? 'answers' : 'does not answer'],
    ['Registrations at other nodes', elsewhere === undefined ? 'not shared' : count(elsewhere)],
    ['Calls taken over from others', count(metrics.sum('tandem_calls_taken_over_total'))],
    ['Calls handed over to others', count(metrics.sum('tandem_calls_handed_over_total'))],
  ];
}
