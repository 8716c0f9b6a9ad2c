import { queryOptions } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import type { GatewayHealth } from '../../api/types';

/** How all gateways are. */
export const gatewayHealthQuery = queryOptions({
  queryKey: ['gateways', 'health'],
  queryFn: () => body(api.GET('/v1/gateway-health')),
  refetchInterval: 5000,
});

/** In a word; what was never tried is unknown, not down. */
export function gatewayState(health: GatewayHealth | undefined): 'up' | 'down' | 'unknown' {
  if (health?.up == null) return 'unknown';
  return health.up ? 'up' : 'down';
}
