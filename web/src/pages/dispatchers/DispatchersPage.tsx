import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { api, body } from '../../api/client';
import { useEvents } from '../../api/events';
import type { ServerHealth } from '../../api/types';
import { count, plural, relative } from '../../parts/format';
import { Card, Page } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { StateBadge } from '../../parts/StateBadge';
import { Age } from '../servers/columns';
import { Targets } from './Targets';

/** All dispatchers that have joined, each with its targets. */
export function DispatchersPage() {
  useEvents('servers');
  const asked = useQuery({
    queryKey: ['servers', 'dispatchers'],
    queryFn: () =>
      body(api.GET('/v1/server-health', { params: { query: { role: 'dispatcher' } } })),
    refetchInterval: 1000,
  });
  return (
    <Page title="Dispatchers">
      <div className="page-scroll">
        <Shown asked={asked}>
          {({ items }) => (
            <>
              {items.length === 0 && (
                <Text size="sm" c="dimmed">
                  No dispatcher has joined: make a token of that role by Join a machine, or by tandem
                  node token --role dispatcher.
                </Text>
              )}
              {items.map((health) => (
                <One key={health.server} of={health} />
              ))}
            </>
          )}
        </Shown>
      </div>
    </Page>
  );
}

function One({ of: health }: { of: ServerHealth }) {
  const report = health.report;
  const state = (
    <Text size="sm" component="div" mb={4}>
      <StateBadge state={health.state} />
      <Age of={health} /> {health.cause}.{' '}
      {report && `${plural(report.channels, 'call')} in progress, ${count(report.cps)} CPS. `}
      <Link to={`/servers/${health.server}` as string}>All of {health.name}</Link>
    </Text>
  );
  if (report?.dispatcher) {
    return (
      <Targets of={health} title={health.name}>
        {state}
      </Targets>
    );
  }
  return (
    <Card title={health.name}>
      {state}
      <Text size="xs" c="dimmed">
        Last heard of: {relative(health.reported_us)}
      </Text>
    </Card>
  );
}
