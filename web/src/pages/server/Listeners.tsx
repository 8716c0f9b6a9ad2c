import { Button, Group, Modal, Title } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { useMay } from '../../api/session';
import type { ListenerStatus } from '../../api/types';
import { Confirm } from '../../parts/Confirm';
import { DataTable, type Column } from '../../parts/DataTable';
import { bytes, count } from '../../parts/format';
import { Shown } from '../../parts/Shown';
import type { Draft, Field } from '../../records/field';
import { RecordForm } from '../../records/RecordForm';

const columns: Column<ListenerStatus>[] = [
  { key: 'transport', title: 'Transport', cell: (listener) => listener.transport, kind: 'mono' },
  { key: 'address', title: 'Address', cell: (listener) => listener.address, kind: 'mono' },
  {
    key: 'advertised',
    title: 'Peers are told',
    cell: (listener) => listener.advertised ?? 'the same',
    kind: 'mono',
    wide: true,
  },
  {
    key: 'connections',
    title: 'Connections',
    cell: (listener) =>
      listener.transport === 'udp' ? 'none in UDP' : count(listener.connections),
    kind: 'figure',
  },
  {
    key: 'buffer',
    title: 'Receive buffer',
    cell: (listener) => bytes(listener.receive_buffer_bytes || null),
    kind: 'figure',
    wide: true,
  },
  {
    key: 'certificates',
    title: 'Client certificates',
    cell: (listener) => listener.client_certificates,
    wide: true,
  },
];

const fields: Field[] = [
  {
    path: 'transport',
    label: 'Transport',
    input: { kind: 'choice', options: ['udp', 'tcp', 'tls', 'ws', 'wss'] },
    required: true,
  },
  {
    path: 'address',
    label: 'Address',
    help: 'address:port',
    input: { kind: 'text', mono: true },
    required: true,
  },
  {
    path: 'client_certificates',
    label: 'Client certificates',
    help: 'of TLS and WSS alone',
    input: { kind: 'choice', options: ['unasked', 'asked', 'demanded'] },
  },
];

/** Sockets that are open for SIP; more can be opened while calls go on. */
export function Listeners() {
  const [opened, setOpened] = useState(false);
  const client = useQueryClient();
  const mayChange = useMay('admin');
  const asked = useQuery({
    queryKey: ['listeners'],
    queryFn: () => body(api.GET('/v1/listeners')),
    refetchInterval: 10_000,
  });
  const add = async (draft: Draft) => {
    await body(api.POST('/v1/listeners', { body: draft as never }));
    setOpened(false);
    await client.invalidateQueries({ queryKey: ['listeners'] });
  };
  const close = {
    key: 'close',
    title: '',
    cell: (listener: ListenerStatus) => <Close listener={listener} />,
  };
  return (
    <section aria-label="Listeners">
      <Group justify="space-between" mb={8}>
        <Title order={2}>Listeners</Title>
        {mayChange && <Button onClick={() => setOpened(true)}>New listener</Button>}
      </Group>
      <Shown asked={asked}>
        {(page) => (
          <DataTable
            fits
            label="Listeners"
            columns={mayChange ? [...columns, close] : columns}
            rows={page.items}
            rowKey={(listener) => listener.id}
          />
        )}
      </Shown>
      <Modal opened={opened} onClose={() => setOpened(false)} title="New listener">
        <RecordForm
          fields={fields}
          initial={{ transport: 'udp', client_certificates: 'unasked' }}
          action="Open"
          wish={(draft) => ({ method: 'POST', path: '/v1/listeners', body: draft })}
          onSubmit={add}
        />
      </Modal>
    </section>
  );
}

function Close({ listener }: { listener: ListenerStatus }) {
  const client = useQueryClient();
  const name = `${listener.transport} ${listener.address}`;
  const close = async () => {
    await body(api.DELETE('/v1/listeners/{id}', { params: { path: { id: listener.id } } }));
    await client.invalidateQueries({ queryKey: ['listeners'] });
  };
  return (
    <Confirm
      compact
      action="Close"
      label={`Close ${name}`}
      question={`Close ${name}?`}
      onConfirm={close}
      wish={{ method: 'DELETE', path: `/v1/listeners/${encodeURIComponent(listener.id)}` }}
    >
      Phones and carriers that use it do not reach this server there any more.
    </Confirm>
  );
}
