import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { Server, ServerHealth } from '../../api/types';
import { bytes, count, milliseconds, relative, time, UNKNOWN } from '../../parts/format';
import { Card, Facts } from '../../parts/Page';
import { StateBadge } from '../../parts/StateBadge';
import { Targets } from '../dispatchers/Targets';
import { MediaFacts } from '../media-servers/MediaFacts';
import { latencyText, latencyWords } from '../zones/LatencyMatrix';
import { Age, cpu, days, inUse, UpdatePending } from './columns';
import { daysUntil, lag, serverHealthQuery } from './health';
import { HistoryGraphs } from '../overview/HistoryGraphs';
import { ServerActions } from './ServerActions';
import { ServerCalls } from './ServerCalls';
import { ServerEvents } from './ServerEvents';
import { ServerLog } from './ServerLog';
import { ServerRegistrations } from './ServerRegistrations';
import { Tasks } from './Tasks';

/** How a server is, and what can be done to it. */
export function ServerBeside({ record }: { record: Server }) {
  const { data: health } = useQuery(serverHealthQuery(record.id));
  return (
    <>
      <Card title="Now">
        {health ? <Now of={health} /> : <Text size="sm">{UNKNOWN}</Text>}
        <ServerActions record={record} health={health} />
      </Card>
      {health?.report?.media && <MediaFacts of={health.report.media} />}
      <Tasks server={record.id} />
    </>
  );
}

/** What goes on at a server, and what went on. */
export function ServerBelow({ record }: { record: Server }) {
  const { data: health } = useQuery(serverHealthQuery(record.id));
  const takesCalls = (record.role ?? 'switch') === 'switch';
  return (
    <>
      {health?.report?.dispatcher && <Targets of={health} />}
      {takesCalls && <ServerCalls server={record.id} />}
      {takesCalls && <ServerRegistrations server={record.id} />}
      <ServerEvents server={record.id} />
      {health?.report && <ServerLog server={record.id} />}
      {takesCalls && <HistoryGraphs server={record.id} />}
    </>
  );
}

function Now({ of: health }: { of: ServerHealth }) {
  const report = health.report;
  const isSwitch = health.role === 'switch';
  const isMedia = health.role === 'media';
  // What a role does not have is left out.
  const ofSwitch = (value: ReactNode) => (isSwitch ? value : undefined);
  const state = (
    <>
      <StateBadge state={health.state} />
      <Age of={health} />
    </>
  );
  return (
    <Facts
      facts={[
        ['State', state],
        ['Cause', health.cause],
        ['Role', health.role],
        [
          isMedia ? 'Sessions' : 'Channels',
          inUse(report?.channels, report?.channels_limit, report?.channels_peak),
        ],
        ['CPS', isMedia ? undefined : inUse(report?.cps, report?.cps_limit, report?.cps_peak)],
        ['Registrations', ofSwitch(count(report?.registrations))],
        ['CPU', cpu(health)],
        ['Memory', `${bytes(report?.memory_bytes)} of ${bytes(report?.machine_memory_bytes)}`],
        ['Line to control', milliseconds(report?.rtt_us)],
        [
          'From others by SIP',
          ofSwitch(<span title={latencyWords(health.sip)}>{latencyText(health.sip)}</span>),
        ],
        [
          'From others by ICMP',
          ofSwitch(<span title={latencyWords(health.icmp)}>{latencyText(health.icmp)}</span>),
        ],
        ['Address', health.address ?? UNKNOWN],
        ['Machine', report?.host ?? UNKNOWN],
        ['Version', report?.version ?? UNKNOWN],
        [
          'On its disk',
          report?.update && (
            <>
              {report.update.version} ({report.update.build}) <UpdatePending health={health} />
            </>
          ),
        ],
        ['Configuration', lag(health) ?? UNKNOWN],
        ['Running since', report ? time(report.started_us) : UNKNOWN],
        ['Last heard of', relative(health.reported_us)],
        ['Node certificate', days(daysUntil(health.certificate_expires_us))],
        ['SIP certificate', ofSwitch(days(daysUntil(report?.tls_expires_us)))],
        ['Listens on', isMedia ? undefined : report ? <Listeners report={report} /> : UNKNOWN],
      ]}
    />
  );
}

function Listeners({ report }: { report: NonNullable<ServerHealth['report']> }) {
  return (
    <span className="mono">
      {report.listeners.map(({ transport, address }) => (
        <span key={transport + address} style={{ display: 'block' }}>
          {transport} {address}
        </span>
      ))}
    </span>
  );
}
