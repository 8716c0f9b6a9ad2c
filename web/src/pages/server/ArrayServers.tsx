import { Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import type { ArrayPeer } from '../../api/types';
import { DataTable, type Column } from '../../parts/DataTable';
import { bytes, count, milliseconds, UNKNOWN } from '../../parts/format';
import { Shown } from '../../parts/Shown';
import { StateBadge } from '../../parts/StateBadge';

const columns: Column<ArrayPeer>[] = [
  { key: 'id', title: 'Server', cell: (peer) => peer.id || UNKNOWN, kind: 'mono' },
  { key: 'heard', title: 'Heard', cell: (peer) => <Link up={peer.heard} /> },
  { key: 'told', title: 'Told', cell: (peer) => <Link up={peer.told} /> },
  { key: 'lag', title: 'Lag', cell: (peer) => milliseconds(peer.lag_us), kind: 'figure' },
  {
    key: 'clock',
    title: 'Clock ahead',
    cell: (peer) => milliseconds(peer.clock_skew_us),
    kind: 'figure',
    wide: true,
  },
  {
    key: 'changes',
    title: 'Changes in, out',
    cell: (peer) => `${count(peer.received.changes)}, ${count(peer.sent.changes)}`,
    kind: 'figure',
    wide: true,
  },
  {
    key: 'bytes',
    title: 'Bytes in, out',
    cell: (peer) => `${bytes(peer.received.bytes)}, ${bytes(peer.sent.bytes)}`,
    kind: 'figure',
    wide: true,
  },
  { key: 'error', title: 'In the way', cell: (peer) => peer.error ?? 'nothing', wide: true },
];

/** The other servers of an array, and what sharing registrations with them costs; nothing where none are. */
export function ArrayServers() {
  const asked = useQuery({
    queryKey: ['array'],
    queryFn: () => body(api.GET('/v1/array')),
    refetchInterval: 2000,
  });
  if (!asked.data?.sharing) return null;
  return (
    <>
      <div style={{ height: 12 }} />
      <Title order={2}>Array</Title>
      <Shown asked={asked}>
        {(array) => (
          <DataTable
            label="Servers of the array"
            columns={columns}
            rows={array.peers}
            rowKey={(peer) => peer.id + (peer.address ?? '')}
            empty="This server listens to no other: give it --array-peer."
          />
        )}
      </Shown>
    </>
  );
}

const Link = ({ up }: { up: boolean }) => <StateBadge state={up ? 'up' : 'down'} />;
