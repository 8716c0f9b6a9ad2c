import { Tooltip } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { milliseconds } from '../../parts/format';
import { StateBadge } from '../../parts/StateBadge';
import { gatewayHealthQuery, gatewayState } from './health';

interface Props {
  gateway: string;
}

/** Whether calls go to a gateway; its last failure on hover. */
export function GatewayState({ gateway }: Props) {
  const health = useGatewayHealth(gateway);
  const badge = (
    <span>
      <StateBadge state={gatewayState(health)} />
    </span>
  );
  return health?.last_failure ? <Tooltip label={health.last_failure}>{badge}</Tooltip> : badge;
}

export function GatewayRtt({ gateway }: Props) {
  return milliseconds(useGatewayHealth(gateway)?.rtt_us);
}

export function useGatewayHealth(gateway: string) {
  const { data } = useQuery(gatewayHealthQuery);
  return data?.items.find((health) => health.gateway === gateway);
}
