import { Alert, Anchor, Button, Group, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { useDraft, workIn } from '../api/draft';
import { isRefusal } from '../api/problem';
import { draftQuery } from '../pages/drafts/query';

/** Says that records are those of a draft, and leads to it. */
export function DraftBanner() {
  const draft = useDraft();
  const client = useQueryClient();
  const asked = useQuery({ ...draftQuery(draft?.id ?? ''), enabled: draft != null });
  const isGone = isRefusal(asked.error, 404);
  const isOver = isGone || (asked.data != null && asked.data.state !== 'open');
  // What is shown is of the draft, or of what is in force: never the one in place of the other.
  const shown = useRef(draft?.id);
  useEffect(() => {
    if (shown.current === draft?.id) return;
    shown.current = draft?.id;
    void client.resetQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'session' });
  }, [client, draft?.id]);
  if (!draft) return null;
  return (
    <Alert color={isOver ? 'red' : 'yellow'} py={4} mb={6} role="status" aria-label="draft">
      <Group gap="sm" justify="space-between">
        <Text size="sm">
          You work in the draft{' '}
          <Anchor component={Link} to={`/drafts/${draft.id}`} size="sm">
            {draft.name}
          </Anchor>
          {isOver
            ? `, which somebody has ${isGone ? 'forgotten' : 'applied'}. Leave it to go on with what is in force.`
            : ': changes of accounts, users, devices, numbers, customers, carriers, gateways and routes are not in force before it is applied. All else is.'}
        </Text>
        <Button size="compact-xs" variant="default" onClick={() => workIn(null)}>
          Leave the draft
        </Button>
      </Group>
    </Alert>
  );
}
