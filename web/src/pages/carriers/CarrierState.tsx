import { useQuery } from '@tanstack/react-query';
import { allRecords } from '../../api/records';
import { StateBadge } from '../../parts/StateBadge';
import { gatewayHealthQuery, gatewayState } from '../gateways/health';

/** How many of a carrier's gateways are up. */
export function CarrierState({ carrier }: { carrier: string }) {
  const gateways = useQuery({
    queryKey: ['gateways', 'all'],
    queryFn: () => allRecords('gateways'),
  });
  const health = useQuery(gatewayHealthQuery);
  if (!gateways.data || !health.data) return <span className="dim">—</span>;
  const own = gateways.data.filter((gateway) => gateway.carrier === carrier);
  if (own.length === 0) return <StateBadge state="none" />;
  const states = own.map(({ id }) => gatewayState(health.data.items.find((h) => h.gateway === id)));
  const up = states.filter((state) => state === 'up').length;
  const down = states.filter((state) => state === 'down').length;
  const worst = down > 0 ? 'down' : up === own.length ? 'up' : 'unknown';
  const known = up + down > 0;
  return (
    <>
      <StateBadge state={worst} />{' '}
      {known && (down > 0 ? `${down} of ${own.length} down` : `${up} of ${own.length} up`)}
    </>
  );
}
