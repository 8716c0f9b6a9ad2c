import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEvents } from '../../api/events';
import { listRecords } from '../../api/records';
import { useMay } from '../../api/session';
import type { Carrier } from '../../api/types';
import { DataTable } from '../../parts/DataTable';
import { Card } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { gateways } from '../gateways/kind';
import { routes } from '../routes/kind';

/** The gateways of a carrier and how they are, and the routes that lead to it. */
export function CarrierBeside({ record }: { record: Carrier }) {
  useEvents('gateways,routes');
  const navigate = useNavigate();
  const mayChange = useMay('operator');
  const own = useQuery({
    queryKey: ['gateways', 'of', record.id],
    queryFn: () => listRecords('gateways', { carrier: record.id }, undefined, 500),
  });
  const leading = useQuery({
    queryKey: ['routes', 'of', record.id],
    queryFn: () => listRecords('routes', { carrier: record.id }, undefined, 500),
  });
  const add = (noun: string) =>
    void navigate({ to: `/${noun}/new` as string, search: { carrier: record.id } as never });
  return (
    <>
      <Card title="Gateways">
        <Shown asked={own}>
          {(page) => (
            <DataTable
              fits
              label="Gateways"
              columns={gateways.columns.filter(({ key }) => !['carrier', 'enabled'].includes(key))}
              rows={page.items}
              rowKey={(row) => row.id}
              to={(row) => `/gateways/${row.id}`}
              empty="None: no call can go to this carrier."
            />
          )}
        </Shown>
        {mayChange && (
          <Button mt="xs" variant="default" onClick={() => add('gateways')}>
            New gateway
          </Button>
        )}
      </Card>
      <Card title="Routes">
        <Shown asked={leading}>
          {(page) => (
            <DataTable
              fits
              label="Routes"
              columns={routes.columns.filter(({ key }) => key !== 'carrier')}
              rows={page.items}
              rowKey={(row) => row.id}
              to={(row) => `/routes/${row.id}`}
              empty="None: no number leads to this carrier."
            />
          )}
        </Shown>
        {mayChange && (
          <Button mt="xs" variant="default" onClick={() => add('routes')}>
            New route
          </Button>
        )}
      </Card>
    </>
  );
}
