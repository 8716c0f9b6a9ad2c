import { Alert, Anchor, Button, Group, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams, useRouter } from '@tanstack/react-router';
import { api, body } from '../../api/client';
import { useDraft, workIn } from '../../api/draft';
import { useEvents } from '../../api/events';
import { useOpen } from '../../api/session';
import type { DraftDetail } from '../../api/types';
import { Confirm } from '../../parts/Confirm';
import { plural, time } from '../../parts/format';
import { Card, Facts, Page } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { StateBadge } from '../../parts/StateBadge';
import { Difference } from '../audit/Difference';
import { draftQuery } from './query';
import { Replay } from './Replay';
import { stateWord } from './state';

/** What a draft changes, field by field, and what can be done with it. */
export function DraftPage() {
  useEvents('drafts');
  const { id } = useParams({ strict: false }) as { id: string };
  const asked = useQuery(draftQuery(id));
  const name = asked.data?.name ?? id;
  return (
    <Page title={`Draft ${name}`} actions={asked.data && <Actions draft={asked.data} />}>
      <Shown asked={asked}>
        {(draft) => (
          <div className="page-scroll">
            <Card title="The draft">
              <About draft={draft} />
            </Card>
            {draft.refused && (
              <Alert color="red" role="alert" my="sm">
                As things are it is refused: {draft.refused}
              </Alert>
            )}
            {draft.changes.length === 0 && (
              <Text size="sm" c="dimmed">
                Nothing is changed in it yet. Work in it, and change records on their own pages.
              </Text>
            )}
            {draft.state === 'open' && draft.changes.length > 0 && <Replay id={draft.id} />}
            {draft.changes.map((change) => (
              <Change key={change.record} draft={draft} change={change} />
            ))}
          </div>
        )}
      </Shown>
    </Page>
  );
}

function About({ draft }: { draft: DraftDetail }) {
  return (
    <Facts
      facts={[
        ['State', <StateBadge key="state" state={stateWord(draft)} />],
        ['Changes', plural(draft.records, 'record')],
        ['Begun', `${time(draft.created_us)} by ${draft.by}`],
        [
          draft.state === 'applied' ? 'Applied' : 'Rolled back',
          draft.ended_us == null ? undefined : `${time(draft.ended_us)} by ${draft.ended_by}`,
        ],
      ]}
    />
  );
}

type OneChange = DraftDetail['changes'][number];

function Change({ draft, change }: { draft: DraftDetail; change: OneChange }) {
  const client = useQueryClient();
  const mayChange = useOpen('drafts', 'change');
  const what = whatOf(change);
  const takeOut = async () => {
    const path = { id: draft.id, record: change.record };
    await body(api.DELETE('/v1/drafts/{id}/changes/{record}', { params: { path } }));
    await client.invalidateQueries();
  };
  return (
    <Card title={`${change.noun}: ${change.label} (${what})`}>
      <Group gap="sm" mb={4}>
        <Anchor component={Link} to={`/${change.noun}/${change.record}`} size="xs" className="mono">
          {change.record}
        </Anchor>
        {mayChange && draft.state === 'open' && (
          <Confirm
            compact
            action="Take out"
            label={`Take ${change.label} out of the draft`}
            question={`Take ${change.label} out of the draft?`}
            onConfirm={takeOut}
            wish={{ method: 'DELETE', path: `/v1/drafts/${draft.id}/changes/${change.record}` }}
          >
            It stays as it is when the draft is applied.
          </Confirm>
        )}
      </Group>
      <Difference entry={change} />
    </Card>
  );
}

function whatOf({ before, after }: OneChange): string {
  if (before == null) return after == null ? 'made and deleted again' : 'new';
  return after == null ? 'deleted' : 'changed';
}

function Actions({ draft }: { draft: DraftDetail }) {
  const client = useQueryClient();
  const router = useRouter();
  const mayChange = useOpen('drafts', 'change');
  const open = useDraft();
  if (!mayChange) return null;
  const params = { path: { id: draft.id } };
  const base = `/v1/drafts/${draft.id}`;
  const apply = async () => {
    await body(api.POST('/v1/drafts/{id}/apply', { params }));
    if (open?.id === draft.id) workIn(null);
    await client.invalidateQueries();
  };
  const rollBack = async () => {
    await body(api.POST('/v1/drafts/{id}/rollback', { params }));
    await client.invalidateQueries();
  };
  const forget = async () => {
    await body(api.DELETE('/v1/drafts/{id}', { params }));
    if (open?.id === draft.id) workIn(null);
    await router.navigate({ to: '/drafts' });
    await client.invalidateQueries();
  };
  const isOpen = draft.state === 'open' || draft.state === 'applying';
  return (
    <Group gap="xs">
      {draft.state === 'open' && open?.id !== draft.id && (
        <Button variant="default" onClick={() => workIn({ id: draft.id, name: draft.name })}>
          Work in it
        </Button>
      )}
      {isOpen && (
        <Confirm
          action="Apply"
          question={`Apply ${draft.name}?`}
          onConfirm={apply}
          disabled={draft.changes.length === 0}
          wish={{ method: 'POST', path: `${base}/apply` }}
        >
          {plural(draft.records, 'record')} will be changed at once; new calls go by them. Calls that
          are up stay up.
        </Confirm>
      )}
      {draft.state === 'applied' && (
        <Confirm
          action="Roll back"
          question={`Roll ${draft.name} back?`}
          onConfirm={rollBack}
          wish={{ method: 'POST', path: `${base}/rollback` }}
        >
          All that it has changed becomes what it was before, at once. Calls that are up stay up.
        </Confirm>
      )}
      <Confirm
        action="Forget"
        question={`Forget ${draft.name}?`}
        onConfirm={forget}
        wish={{ method: 'DELETE', path: base }}
      >
        {draft.state === 'applied'
          ? 'What it has changed stays, and cannot be rolled back at once any more.'
          : 'Nothing that is in force changes.'}
      </Confirm>
    </Group>
  );
}
