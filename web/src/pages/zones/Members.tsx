import { Button, Group, Select, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { words } from '../../api/problem';
import { allRecords, readRecord, replaceRecord } from '../../api/records';
import { useOpen } from '../../api/session';
import type { Capacity, CapacityMember } from '../../api/types';
import { DataTable, type Column } from '../../parts/DataTable';
import { AsCommand } from '../../parts/AsCommand';
import { Card } from '../../parts/Page';
import { memberColumns } from './columns';

interface Props {
  /** What servers name. */
  field: 'zone' | 'cluster';
  name: string;
  capacity: Capacity | undefined;
  more?: Column<CapacityMember>[];
}

/** The servers of a zone or cluster; others are moved in. */
export function Members({ field, name, capacity, more = [] }: Props) {
  return (
    <Card title="Servers">
      {capacity && (
        <Text size="sm" mb={6} data-testid="headroom">
          {capacity.cause}.
        </Text>
      )}
      <DataTable
        fits
        label="Servers"
        columns={[...memberColumns, ...more]}
        rows={capacity?.members ?? []}
        rowKey={(row) => row.server}
        to={(row) => `/servers/${row.server}`}
        empty="No server."
      />
      <MoveIn field={field} name={name} />
    </Card>
  );
}

function MoveIn({ field, name }: { field: 'zone' | 'cluster'; name: string }) {
  const client = useQueryClient();
  const mayMove = useOpen('servers', 'change');
  const [chosen, setChosen] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const { data } = useQuery({ queryKey: ['servers', 'all'], queryFn: () => allRecords('servers') });
  if (!mayMove) return null;
  const outside = (data ?? []).filter((server) => server[field] !== name);
  const moved = outside.find(({ id }) => id === chosen);
  const move = async () => {
    if (!chosen) return;
    try {
      const { value, etag } = await readRecord('servers', chosen);
      await replaceRecord('servers', chosen, etag, { ...value, [field]: name });
      notifications.show({ message: `server ${value.name} is in ${field} ${name}` });
      setChosen(null);
      setError(null);
      await client.invalidateQueries();
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <>
      <Group mt={8} align="flex-end">
        <Select
          label={`Move into ${name}`}
          data={outside.map((server) => ({
            value: server.id,
            label: server[field] ? `${server.name} (now in ${server[field]})` : server.name,
          }))}
          value={chosen}
          onChange={setChosen}
          error={error == null ? undefined : words(error)}
          searchable
          nothingFoundMessage="no other server"
        />
        <Button variant="default" disabled={!chosen} onClick={() => void move()}>
          Move
        </Button>
      </Group>
      {moved && (
        <AsCommand
          wish={{ method: 'PATCH', path: `/v1/servers/${moved.id}`, body: { [field]: name }, etag: '*' }}
        />
      )}
    </>
  );
}
