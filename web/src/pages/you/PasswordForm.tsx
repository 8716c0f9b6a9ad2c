import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { sessionQuery } from '../../api/session';
import type { Draft, Field } from '../../records/field';
import { RecordForm } from '../../records/RecordForm';

const fields: Field[] = [
  {
    path: 'password',
    label: 'Password until now',
    input: { kind: 'password' },
    required: true,
  },
  {
    path: 'new_password',
    label: 'New password',
    help: '10 characters at least',
    input: { kind: 'password' },
    required: true,
  },
];

/** A new password of one's own; other browsers are signed out by it. */
export function PasswordForm() {
  const client = useQueryClient();
  const [done, setDone] = useState(0);
  const change = async (draft: Draft) => {
    await body(api.PUT('/v1/session/password', { body: asked(draft) }));
    // The answer brought another cookie, which has another secret for changes.
    await client.refetchQueries({ queryKey: sessionQuery.queryKey });
    await client.invalidateQueries({ queryKey: ['sessions'] });
    notifications.show({ message: 'The password is changed; other browsers are signed out' });
    setDone(done + 1);
  };
  return (
    <RecordForm
      key={done}
      fields={fields}
      initial={{}}
      action="Change password"
      wish={() => ({
        method: 'PUT',
        path: '/v1/session/password',
        body: { password: '…', new_password: '…' },
      })}
      onSubmit={change}
    />
  );
}

function asked({ password, new_password }: Draft) {
  return { password: password as string, new_password: new_password as string };
}
