import { queryOptions } from '@tanstack/react-query';
import { api, body } from '../../api/client';

/** How all media servers are. */
export const mediaServerHealthQuery = queryOptions({
  queryKey: ['media-servers', 'health'],
  queryFn: () => body(api.GET('/v1/media-server-health')),
  refetchInterval: 5000,
});
