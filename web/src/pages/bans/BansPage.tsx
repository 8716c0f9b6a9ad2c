import { useQuery, useQueryClient } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import { useEvents } from '../../api/events';
import { useMay } from '../../api/session';
import type { Ban } from '../../api/types';
import { Confirm } from '../../parts/Confirm';
import { DataTable, type Column } from '../../parts/DataTable';
import { relative, time } from '../../parts/format';
import { Page } from '../../parts/Page';
import { Shown } from '../../parts/Shown';

/** Sources whose packets are dropped. */
export function BansPage() {
  useEvents('bans');
  const mayLift = useMay('operator');
  const asked = useQuery({
    queryKey: ['bans'],
    queryFn: () => body(api.GET('/v1/bans')),
    refetchInterval: 10_000,
  });
  const columns: Column<Ban>[] = [
    { key: 'address', title: 'Address', cell: (ban) => ban.address, kind: 'mono' },
    { key: 'reason', title: 'Reason', cell: (ban) => ban.reason },
    { key: 'since', title: 'Since', cell: (ban) => time(ban.since_us), wide: true },
    { key: 'until', title: 'Ends', cell: (ban) => relative(ban.until_us), kind: 'figure' },
  ];
  if (mayLift) columns.push({ key: 'lift', title: '', cell: (ban) => <Lift ban={ban} /> });
  return (
    <Page title="Bans">
      <Shown asked={asked}>
        {(page) => (
          <DataTable
            label="Bans"
            columns={columns}
            rows={page.items}
            rowKey={(ban) => ban.address}
            empty="No address is banned."
          />
        )}
      </Shown>
    </Page>
  );
}

function Lift({ ban }: { ban: Ban }) {
  const client = useQueryClient();
  const lift = async () => {
    const params = { path: { address: ban.address } };
    await body(api.DELETE('/v1/bans/{address}', { params }));
    await client.invalidateQueries({ queryKey: ['bans'] });
  };
  return (
    <Confirm
      compact
      action="Lift"
      label={`Lift the ban of ${ban.address}`}
      question={`Lift the ban of ${ban.address}?`}
      onConfirm={lift}
      wish={{ method: 'DELETE', path: `/v1/bans/${encodeURIComponent(ban.address)}` }}
    >
      Its packets are served again at once.
    </Confirm>
  );
}
