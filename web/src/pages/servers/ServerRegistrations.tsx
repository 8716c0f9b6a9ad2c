import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { useOpen } from '../../api/session';
import { DataTable } from '../../parts/DataTable';
import { Card } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { registrationColumns } from '../registrations/columns';

/** Who is registered at a server, found by a part of a name, a contact or a device. */
export function ServerRegistrations(props: { server: string }) {
  return useOpen('registrations') && <Found {...props} />;
}

function Found({ server }: { server: string }) {
  const [text, setText] = useState('');
  const asked = useQuery({
    queryKey: ['registrations', 'of', server, text],
    queryFn: () => {
      const query = { limit: SHOWN, ...(text && { text }) };
      const params = { path: { id: server }, query };
      return body(api.GET('/v1/servers/{id}/registrations', { params }));
    },
    refetchInterval: 5000,
    placeholderData: (previous) => previous,
  });
  return (
    <Card title="Registrations">
      <TextInput
        label="Name, contact or device"
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        mb="xs"
        maw={300}
      />
      <Shown asked={asked}>
        {(page) => (
          <>
            <DataTable
              fits
              label="Registrations of this server"
              columns={registrationColumns}
              rows={page.items}
              rowKey={(registration) => registration.id}
              empty={text ? 'Nobody like that is registered here.' : 'Nobody is registered here.'}
            />
            {page.next_cursor && <p className="dim">There are more: search for some of them.</p>}
          </>
        )}
      </Shown>
    </Card>
  );
}

const SHOWN = 20;
