import { Button, Group, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { readRecord, replaceRecord } from '../../api/records';
import { words } from '../../api/problem';
import { useMay } from '../../api/session';
import type { MediaServer } from '../../api/types';
import { count, milliseconds, UNKNOWN } from '../../parts/format';
import { Card, Facts } from '../../parts/Page';
import { StateBadge } from '../../parts/StateBadge';
import { mediaServerHealthQuery } from './health';

/** How a media server is, and draining it. */
export function MediaServerBeside({ record }: { record: MediaServer }) {
  const { data } = useQuery({ ...mediaServerHealthQuery, refetchInterval: 2000 });
  const health = data?.items.find(({ media_server }) => media_server === record.id);
  const load = health?.load_percent;
  return (
    <Card title="Health">
      <Facts
        facts={[
          ['State', <StateBadge state={health?.state ?? 'unknown'} />],
          ['Sessions of this node', count(health?.sessions)],
          ['Sessions in all', count(health?.sessions_total)],
          ['Load', load == null ? UNKNOWN : `${load} %`],
          ['Round trip', milliseconds(health?.rtt_us)],
          ['Converts keys (DTMF)', health ? (health.converts_keys ? 'yes' : 'no') : UNKNOWN],
          ['Last failure', health ? health.last_failure || 'none' : UNKNOWN],
        ]}
      />
      <Drain record={record} sessions={health?.sessions} />
    </Card>
  );
}

function Drain({ record, sessions }: { record: MediaServer; sessions?: number }) {
  const client = useQueryClient();
  const mayChange = useMay('operator');
  const [error, setError] = useState<unknown>(null);
  if (!mayChange) return null;
  const turn = async () => {
    setError(null);
    try {
      const { value, etag } = await readRecord('media-servers', record.id);
      await replaceRecord('media-servers', record.id, etag, {
        ...value,
        draining: !record.draining,
      });
      await client.invalidateQueries({ queryKey: ['media-servers'] });
    } catch (failure) {
      setError(failure);
    }
  };
  const left = sessions == null ? '' : ` ${count(sessions)} left.`;
  return (
    <Group mt="sm">
      <Button variant="default" onClick={() => void turn()}>
        {record.draining ? 'Take calls again' : 'Drain'}
      </Button>
      <Text size="xs" c="dimmed">
        {record.draining
          ? `It takes no new calls; those it has go on.${left}`
          : 'Draining: no new calls, those it has go on to their end.'}
      </Text>
      {error != null && (
        <Text size="xs" c="red" role="alert">
          {words(error)}
        </Text>
      )}
    </Group>
  );
}
