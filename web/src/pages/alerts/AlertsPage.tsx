import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { words } from '../../api/problem';
import { useMay } from '../../api/session';
import type { Incident } from '../../api/types';
import type { Column } from '../../parts/DataTable';
import { relative, span, time } from '../../parts/format';
import { ListPage } from '../../parts/ListPage';
import { StateBadge } from '../../parts/StateBadge';

const columns: Column<Incident>[] = [
  {
    key: 'state',
    title: 'State',
    cell: (incident) => <StateBadge state={incident.ended_us == null ? 'open' : 'over'} />,
  },
  { key: 'text', title: 'What', cell: (incident) => incident.text },
  { key: 'begun', title: 'Began', cell: (incident) => time(incident.begun_us) },
  {
    key: 'lasted',
    title: 'Lasted',
    cell: (incident) =>
      incident.ended_us == null
        ? relative(incident.begun_us).replace(' ago', '')
        : span((incident.ended_us - incident.begun_us) / 1e6),
    kind: 'figure',
  },
  { key: 'told', title: 'Told', cell: told },
  { key: 'rule', title: 'Rule', cell: (incident) => incident.rule, kind: 'mono', wide: true },
];

/** What went wrong, when it was over, and who was told. */
export function AlertsPage() {
  const mayTry = useMay('operator');
  return (
    <ListPage
      title="Alerts"
      queryKey={['alerts', 'list']}
      load={(filters, cursor) =>
        body(
          api.GET('/v1/alerts', { params: { query: { ...filters, cursor, limit: 100 } as never } }),
        )
      }
      columns={columns}
      filters={[
        {
          name: 'state',
          label: 'State',
          options: [
            { value: 'open', label: 'open' },
            { value: 'over', label: 'over' },
          ],
        },
      ]}
      rowKey={(incident) => String(incident.id)}
      empty="Nothing has gone wrong. What is watched, and who is told, is in the settings."
      intervalMs={5000}
      actions={mayTry && <Trial />}
    />
  );
}

/** Each way with the moments it has told of; what was not taken says why. */
function told(incident: Incident): string {
  const texts = incident.deliveries.map((delivery) =>
    delivery.error == null
      ? `${delivery.way} (${delivery.moment})`
      : `${delivery.way} (${delivery.moment}) failed: ${delivery.error}`,
  );
  return texts.join(', ') || 'nobody';
}

/** Sends a mail and a webhook that say that nothing is wrong. */
function Trial() {
  const [busy, setBusy] = useState(false);
  const send = async () => {
    setBusy(true);
    try {
      const ways = await body(api.POST('/v1/alerts/test'));
      const texts = ways.map((way) => `${way.way}: ${way.error ?? 'taken'}`);
      notifications.show({
        message: texts.join('; ') || 'Neither a mail server nor a webhook is set',
        color: ways.some((way) => way.error != null) ? 'red' : undefined,
      });
    } catch (error) {
      notifications.show({ message: words(error), color: 'red' });
    }
    setBusy(false);
  };
  return (
    <Button variant="default" loading={busy} onClick={() => void send()}>
      Send a test
    </Button>
  );
}
