import { Group, Modal } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import type { AuditEntry } from '../../api/types';
import { Confirm } from '../../parts/Confirm';
import type { Column } from '../../parts/DataTable';
import { time } from '../../parts/format';
import { ListPage } from '../../parts/ListPage';
import { Difference, differences } from './Difference';
import { named, verb } from './words';

const columns: Column<AuditEntry>[] = [
  { key: 'at', title: 'When', cell: (entry) => time(entry.at_us) },
  { key: 'actor', title: 'Who', cell: (entry) => entry.actor, wide: true },
  { key: 'what', title: 'What', cell: (entry) => `${entry.kind} ${verb(entry)}` },
  { key: 'record', title: 'Record', cell: named },
  {
    key: 'fields',
    title: 'Fields',
    cell: (entry) =>
      differences(entry)
        .map(({ field }) => field)
        .join(', '),
    kind: 'mono',
  },
  {
    key: 'revision',
    title: 'Revision',
    cell: (entry) => entry.revision,
    kind: 'figure',
    wide: true,
  },
];

/** Who has changed what, from what to what. */
export function AuditPage() {
  const [opened, setOpened] = useState<AuditEntry | null>(null);
  return (
    <>
      <ListPage
        title="Audit log"
        queryKey={['audit']}
        load={(_, cursor) =>
          body(api.GET('/v1/audit', { params: { query: { cursor, limit: 100 } } }))
        }
        columns={columns}
        filters={[]}
        rowKey={(entry) => String(entry.revision) + entry.record}
        onOpen={setOpened}
        empty="Nothing was changed yet."
      />
      <Modal
        opened={opened != null}
        onClose={() => setOpened(null)}
        title={opened && `${opened.kind} ${verb(opened)} by ${opened.actor}`}
        size="lg"
      >
        {opened && <Difference entry={opened} />}
        {opened && <Revert entry={opened} onDone={() => setOpened(null)} />}
      </Modal>
    </>
  );
}

/** Makes the record what it was before a change. */
function Revert({ entry, onDone }: { entry: AuditEntry; onDone: () => void }) {
  const client = useQueryClient();
  const revert = async () => {
    const params = { path: { id: String(entry.revision) } };
    await body(api.POST('/v1/audit/{id}/revert', { params }));
    notifications.show({ message: `change ${entry.revision} is taken back` });
    await client.invalidateQueries();
    onDone();
  };
  return (
    <Group justify="flex-end" mt="md">
      <Confirm
        action="Take back"
        question={`Take back change ${entry.revision}?`}
        onConfirm={revert}
        wish={{ method: 'POST', path: `/v1/audit/${entry.revision}/revert` }}
      >
        The record becomes what it was before; its secrets stay as they are. That is a change like
        others, and can be taken back in turn.
      </Confirm>
    </Group>
  );
}
