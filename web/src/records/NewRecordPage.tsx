import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { createRecord } from '../api/records';
import type { Noun, RecordOf } from '../api/types';
import { nameOf, useNamesOnceKnown } from '../parts/names';
import { Card, Page } from '../parts/Page';
import type { Draft } from './field';
import type { Kind } from './kind';
import { Password } from './Password';
import { RecordForm } from './RecordForm';
import { madePassword } from './RecordPage';

/** A record that is to be made. */
export function NewRecordPage<N extends Noun>({ kind }: { kind: Kind<N, string> }) {
  const { noun, one, fields, fresh } = kind;
  const navigate = useNavigate();
  const client = useQueryClient();
  const given = useSearch({ strict: false }) as Draft;
  const accounts = useNamesOnceKnown('accounts');
  const [made, setMade] = useState<{ record: RecordOf[N]; password: string } | null>(null);
  const finish = kind.finish ?? ((draft: Draft) => draft);
  const create = async (draft: Draft) => {
    const record = (await createRecord(noun, finish(draft))) as unknown as RecordOf[N];
    notifications.show({ message: `${one} ${nameOf(noun, record)} is made` });
    await client.invalidateQueries({ queryKey: [noun] });
    const password = madePassword(record, draft);
    if (password) setMade({ record, password });
    else void navigate({ to: `/${noun}/${record.id}` as string });
  };
  if (made) {
    return (
      <Page title={`${one} ${nameOf(noun, made.record)} is made`}>
        <Password of={`${one} ${nameOf(noun, made.record)}`} value={made.password} />
        <div>
          <Button onClick={() => void navigate({ to: `/${noun}/${made.record.id}` as string })}>
            Go on
          </Button>
        </div>
      </Page>
    );
  }
  // A form that began anew when they come would lose what was typed.
  if (!accounts) return <Page title={`New ${one}`}>{null}</Page>;
  const only = accounts.size === 1 ? [...accounts.keys()][0] : undefined;
  const belongs = fields.some(({ path, required }) => path === 'account' && required);
  const initial = { ...fresh, ...(belongs && only ? { account: only } : {}), ...given };
  return (
    <Page title={`New ${one}`}>
      <div className="page-scroll">
        <Card title="Configuration">
          <RecordForm
            fields={fields}
            initial={initial}
            action={`Create ${one}`}
            wish={(draft) => ({ method: 'POST', path: `/v1/${noun}`, body: finish(draft) })}
            onSubmit={create}
          />
        </Card>
      </div>
    </Page>
  );
}
