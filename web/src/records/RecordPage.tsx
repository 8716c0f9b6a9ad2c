import { Alert, Button, CopyButton } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { deleteRecord, readRecord, replaceRecord } from '../api/records';
import { useOpen } from '../api/session';
import type { Noun, RecordOf } from '../api/types';
import { Confirm } from '../parts/Confirm';
import { nameOf } from '../parts/names';
import { Card, Page } from '../parts/Page';
import { Shown } from '../parts/Shown';
import { isRefusal } from '../api/problem';
import type { Draft } from './field';
import type { Kind } from './kind';
import { Password } from './Password';
import { RecordForm } from './RecordForm';

interface Props<N extends Noun> {
  kind: Kind<N, string>;
  id: string;
}

/** One record: its form, and what else is known of it. */
export function RecordPage<N extends Noun>({ kind, id }: Props<N>) {
  const asked = useQuery({
    queryKey: [kind.noun, 'one', id],
    queryFn: () => readRecord(kind.noun, id),
    // What is being written is not to be replaced by what somebody else has written.
    refetchOnWindowFocus: false,
    staleTime: Infinity,
    gcTime: 0,
  });
  // It outlives the form, which begins anew with each revision.
  const [password, setPassword] = useState<string | null>(null);
  return (
    <Shown asked={asked}>
      {({ value, etag }) => (
        <Opened
          key={etag}
          kind={kind}
          record={value}
          etag={etag}
          onReload={() => void asked.refetch()}
          password={password}
          onPassword={setPassword}
        />
      )}
    </Shown>
  );
}

interface OpenedProps<N extends Noun> {
  kind: Kind<N, string>;
  record: RecordOf[N];
  etag: string;
  onReload: () => void;
  password: string | null;
  onPassword: (password: string | null) => void;
}

function Opened<N extends Noun>(props: OpenedProps<N>) {
  const { kind, record, etag, onReload, password, onPassword } = props;
  const { noun, one, fields, Beside, Below } = kind;
  const client = useQueryClient();
  const navigate = useNavigate();
  const mayChange = useOpen(noun, 'change');
  const [changedElsewhere, setChangedElsewhere] = useState(false);
  const name = nameOf(noun, record);
  const finish = kind.finish ?? ((draft: Draft) => draft);
  const path = `/v1/${noun}/${record.id}`;
  const save = async (draft: Draft) => {
    try {
      const saved = await replaceRecord(noun, record.id, etag, finish(draft));
      notifications.show({ message: `${one} ${name} is saved` });
      onPassword(madePassword(saved, draft));
      await client.invalidateQueries({ queryKey: [noun] });
    } catch (error) {
      if (isRefusal(error, 412)) setChangedElsewhere(true);
      throw error;
    }
  };
  const remove = async () => {
    await deleteRecord(noun, record.id, etag);
    notifications.show({ message: `${one} ${name} is deleted` });
    void navigate({ to: `/${noun}` as string });
    client.removeQueries({ queryKey: [noun, 'one', record.id] });
    await client.invalidateQueries({ queryKey: [noun] });
  };
  return (
    <Page title={`${capital(one)} ${name}`} actions={<CopyId id={record.id} />}>
      <div className="page-scroll">
        {changedElsewhere && (
          <Alert color="yellow" mb="sm" title="Somebody else has changed it in between">
            Your changes are not saved.{' '}
            <Button variant="default" onClick={onReload}>
              Read it again
            </Button>
          </Alert>
        )}
        {password && <Password of={`${one} ${name}`} value={password} />}
        <div className="cards">
          <Card title="Configuration">
            <RecordForm
              fields={fields}
              initial={kind.open?.(record) ?? (record as unknown as Draft)}
              action="Save"
              wish={(draft) => ({ method: 'PUT', path, body: finish(draft), etag })}
              onSubmit={save}
              readOnly={!mayChange}
            >
              {mayChange && (
                <Confirm
                  action="Delete"
                  question={`Delete ${one} ${name}?`}
                  onConfirm={remove}
                  wish={{ method: 'DELETE', path, etag }}
                >
                  This cannot be undone. The audit log keeps what it was.
                </Confirm>
              )}
            </RecordForm>
          </Card>
          {Beside && (
            <div className="beside">
              <Beside record={record} />
            </div>
          )}
        </div>
        {Below && (
          <div className="below">
            <Below record={record} />
          </div>
        )}
      </div>
    </Page>
  );
}

function CopyId({ id }: { id: string }) {
  return (
    <CopyButton value={id}>
      {({ copied, copy }) => (
        <Button
          variant="subtle"
          color="gray"
          fw={400}
          onClick={copy}
          className="mono wide"
          title="Copy the identifier"
        >
          {copied ? 'Copied' : id}
        </Button>
      )}
    </CopyButton>
  );
}

/** A password that the platform has made, as none was given. */
export function madePassword(saved: unknown, draft: Draft): string | null {
  const made = (saved as { password?: string } | undefined)?.password;
  return made && made !== draft.password ? made : null;
}

export const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);
