import { Button, Group, NumberInput, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import type { Replay as Replayed } from '../../api/types';
import { DataTable } from '../../parts/DataTable';
import { plural, time } from '../../parts/format';
import { Card, Facts } from '../../parts/Page';
import { Failure } from '../../parts/Shown';

/** What would become of past calls with a draft. */
export function Replay({ id }: { id: string }) {
  const [limit, setLimit] = useState(1000);
  const asked = useMutation({
    mutationFn: () => {
      const wish = { limit };
      const params = { path: { id } };
      return body(api.POST('/v1/drafts/{id}/replay', { params, body: wish as never }));
    },
  });
  return (
    <Card title="Past calls">
      <Group gap="sm" align="flex-end">
        <NumberInput
          size="xs"
          label="The latest"
          value={limit}
          onChange={(value) => setLimit(Number(value))}
          min={1}
          max={20_000}
          step={1000}
          style={{ width: 120 }}
        />
        <Button size="xs" variant="default" loading={asked.isPending} onClick={() => asked.mutate()}>
          Replay past calls
        </Button>
        <Text size="xs" c="dimmed">
          They are decided twice, as things are and with the draft, as if all gateways were up.
        </Text>
      </Group>
      {asked.error && <Failure error={asked.error} />}
      {asked.data && <Outcome replayed={asked.data} />}
    </Card>
  );
}

function Outcome({ replayed }: { replayed: Replayed }) {
  const counted = (n: number) => (n > 0 ? plural(n, 'call') : undefined);
  return (
    <div role="region" aria-label="What would become of past calls">
      <Facts
        facts={[
          ['Looked at', `${plural(replayed.calls, 'call')}${since(replayed)}`],
          ['As before', plural(replayed.same, 'call')],
          ['Elsewhere', plural(replayed.elsewhere, 'call')],
          ['Elsewhere if the first attempt fails', counted(replayed.other_fallback)],
          ['Refused and were not', counted(replayed.now_refused)],
          ['Let through and were not', counted(replayed.now_admitted)],
          ['Not as recorded, even now', counted(replayed.not_as_recorded)],
          ...replayed.unjudged.map(({ why, calls }): [string, string] => [why, plural(calls, 'call')]),
        ]}
      />
      {replayed.gateways.length > 0 && (
        <DataTable
          fits
          label="Load of gateways"
          columns={[
            { key: 'carrier', title: 'Carrier', cell: (row) => row.carrier_name },
            { key: 'gateway', title: 'Gateway', cell: (row) => row.gateway_name },
            { key: 'calls', title: 'Calls now', cell: (row) => row.calls, kind: 'figure' },
            { key: 'draft', title: 'With it', cell: (row) => row.draft_calls, kind: 'figure' },
          ]}
          rows={replayed.gateways}
          rowKey={(row) => `${row.carrier}/${row.gateway}`}
        />
      )}
      {replayed.differences.length > 0 && (
        <DataTable
          fits
          label="Calls that are decided otherwise"
          columns={[
            { key: 'start', title: 'Began', cell: (row) => time(row.start_us), wide: true },
            { key: 'called', title: 'Called', cell: (row) => row.called, kind: 'mono' },
            { key: 'ways', title: 'Now', cell: (row) => row.ways[0] ?? '' },
            { key: 'draft', title: 'With it', cell: (row) => row.draft_ways[0] ?? '' },
          ]}
          rows={replayed.differences}
          rowKey={(row) => row.call}
          to={(row) => `/calls/${row.call}`}
        />
      )}
    </div>
  );
}

function since({ back_to_us, cut_short }: Replayed): string {
  if (back_to_us == null) return '';
  return `, back to ${time(back_to_us)}${cut_short ? ', where time was up' : ''}`;
}
