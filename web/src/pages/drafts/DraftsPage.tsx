import { Button, Modal, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { workIn } from '../../api/draft';
import { useEvents } from '../../api/events';
import { useOpen } from '../../api/session';
import type { DraftView } from '../../api/types';
import { DataTable, type Column } from '../../parts/DataTable';
import { plural, time } from '../../parts/format';
import { Page } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { StateBadge } from '../../parts/StateBadge';
import type { Draft, Field } from '../../records/field';
import { RecordForm } from '../../records/RecordForm';
import { stateWord } from './state';

const columns: Column<DraftView>[] = [
  { key: 'name', title: 'Name', cell: (draft) => draft.name },
  { key: 'state', title: 'State', cell: (draft) => <StateBadge state={stateWord(draft)} /> },
  { key: 'records', title: 'Changes', cell: (draft) => plural(draft.records, 'record') },
  { key: 'changed', title: 'Changed', cell: (draft) => time(draft.changed_us), wide: true },
  { key: 'by', title: 'By', cell: (draft) => draft.by, wide: true },
];

const fields: Field[] = [
  {
    path: 'name',
    label: 'Name',
    help: 'what is to change: "autumn tariffs"',
    input: { kind: 'text' },
    required: true,
  },
];

/** Changes that are prepared, looked at and made together. */
export function DraftsPage() {
  useEvents('drafts');
  const mayChange = useOpen('drafts', 'change');
  const [opened, setOpened] = useState(false);
  const asked = useQuery({
    queryKey: ['drafts'],
    queryFn: () => body(api.GET('/v1/drafts')),
    refetchInterval: 10_000,
  });
  const actions = mayChange && <Button onClick={() => setOpened(true)}>New draft</Button>;
  return (
    <Page title="Drafts" actions={actions}>
      <Text size="sm" c="dimmed">
        In a draft, records are changed as everywhere, and nothing of it is in force before all of it
        is applied at once. What was before can be put back at once, too.
      </Text>
      <Shown asked={asked}>
        {(page) => (
          <DataTable
            label="Drafts"
            columns={columns}
            rows={page.items}
            rowKey={(draft) => draft.id}
            to={(draft) => `/drafts/${draft.id}`}
            empty="No draft yet: changes take effect one by one."
          />
        )}
      </Shown>
      <NewDraft opened={opened} onClose={() => setOpened(false)} />
    </Page>
  );
}

function NewDraft({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const router = useRouter();
  const client = useQueryClient();
  const begin = async (draft: Draft) => {
    const begun = await body(api.POST('/v1/drafts', { body: draft as never }));
    await client.invalidateQueries({ queryKey: ['drafts'] });
    workIn({ id: begun.id, name: begun.name });
    onClose();
    await router.navigate({ to: `/drafts/${begun.id}` });
  };
  return (
    <Modal opened={opened} onClose={onClose} title="New draft">
      <RecordForm
        fields={fields}
        initial={{ name: '' }}
        action="Begin draft"
        wish={(draft) => ({ method: 'POST', path: '/v1/drafts', body: draft })}
        onSubmit={begin}
      />
    </Modal>
  );
}
