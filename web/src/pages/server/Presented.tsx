import { Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { PresentedCertificate } from '../../api/types';
import { DataTable, type Column } from '../../parts/DataTable';
import { Days } from '../../parts/Days';
import { UNKNOWN } from '../../parts/format';
import { RecordLink } from '../../parts/names';
import { Shown } from '../../parts/Shown';
import { presentedQuery } from '../certificates/presented';

const columns: Column<PresentedCertificate>[] = [
  { key: 'socket', title: 'Socket', cell: (row) => `${row.transport} ${row.address}`, kind: 'mono' },
  { key: 'asked', title: 'Asked for', cell: (row) => row.server_name ?? 'no name', kind: 'mono' },
  { key: 'days', title: 'Days left', cell: (row) => <Days until={row.shown?.not_after_us} />, kind: 'figure' },
  { key: 'subject', title: 'Shown', cell: (row) => row.error ?? row.shown?.subject ?? UNKNOWN },
  { key: 'issuer', title: 'Issuer', cell: (row) => row.shown?.issuer ?? UNKNOWN, wide: true },
  {
    key: 'certificate',
    title: 'From',
    cell: (row) =>
      row.certificate ? <RecordLink noun="certificates" id={row.certificate} /> : 'the directory tls',
    wide: true,
  },
];

/** What each socket shows in handshakes, found out by connecting to it. */
export function Presented() {
  const asked = useQuery(presentedQuery);
  return (
    <section aria-label="Certificates shown">
      <Title order={2} mb={8}>
        Certificates shown
      </Title>
      <Shown asked={asked}>
        {(page) => (
          <DataTable
            fits
            label="Certificates shown"
            columns={columns}
            rows={page.items}
            rowKey={(row) => `${row.address} ${row.server_name ?? ''}`}
            empty="No socket of this server speaks TLS."
          />
        )}
      </Shown>
    </section>
  );
}
