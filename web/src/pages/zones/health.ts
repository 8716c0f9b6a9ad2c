import { queryOptions } from '@tanstack/react-query';
import { api, body } from '../../api/client';

/** How all zones are. */
export const zoneHealthQuery = queryOptions({
  queryKey: ['zones', 'health'],
  queryFn: () => body(api.GET('/v1/zone-health')),
  refetchInterval: 2000,
});

/** How all clusters are. */
export const clusterHealthQuery = queryOptions({
  queryKey: ['clusters', 'health'],
  queryFn: () => body(api.GET('/v1/cluster-health')),
  refetchInterval: 2000,
});

/** How far zones are from each other. */
export const zoneLatencyQuery = queryOptions({
  queryKey: ['zones', 'latency'],
  queryFn: () => body(api.GET('/v1/zones/latency')),
  refetchInterval: 5000,
});
