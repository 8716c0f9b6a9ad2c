import { Group, Select, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { useMay } from '../../api/session';
import type { LogLevel, LogLine } from '../../api/types';
import { DataTable, type Column } from '../../parts/DataTable';
import { time } from '../../parts/format';
import { Card } from '../../parts/Page';
import { Shown } from '../../parts/Shown';

const columns: Column<LogLine>[] = [
  { key: 'at', title: 'At', cell: (line) => time(line.at_us), kind: 'mono' },
  { key: 'level', title: 'Level', cell: (line) => line.level },
  { key: 'text', title: 'Line', cell: (line) => <span title={line.text}>{line.text}</span>, kind: 'mono' },
  { key: 'part', title: 'Part', cell: (line) => line.part, kind: 'mono', wide: true },
];

/** The last lines of the log of a server, for those who may see it: its node is asked for them. */
export function ServerLog(props: { server: string }) {
  return useMay('operator') && <Latest {...props} />;
}

function Latest({ server }: { server: string }) {
  const [level, setLevel] = useState<LogLevel>('info');
  const [text, setText] = useState('');
  const asked = useQuery({
    queryKey: ['servers', 'log', server, level, text],
    queryFn: () => {
      const query = { level, limit: SHOWN, ...(text && { text }) };
      const params = { path: { id: server }, query };
      return body(api.GET('/v1/servers/{id}/log', { params }));
    },
    refetchInterval: 3000,
    placeholderData: (previous) => previous,
  });
  return (
    <Card title="Log">
      <Group gap="xs" mb="xs" align="flex-end">
        <Select
          label="At least"
          data={LEVELS}
          value={level}
          onChange={(value) => setLevel(LEVELS.find((known) => known === value) ?? 'info')}
          allowDeselect={false}
          w={100}
        />
        <TextInput
          label="With this in it"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
      </Group>
      <Shown asked={asked}>
        {(page) => (
          <DataTable
            fits
            label="Log of this server"
            columns={columns}
            rows={page.items}
            rowKey={(line) => String(line.number)}
            empty="No line of that kind is kept."
          />
        )}
      </Shown>
    </Card>
  );
}

const LEVELS: LogLevel[] = ['error', 'warn', 'info', 'debug', 'trace'];
const SHOWN = 50;
