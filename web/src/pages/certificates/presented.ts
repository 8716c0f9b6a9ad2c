import { api, body } from '../../api/client';

/** What each socket of this server shows, found out by connecting to it. */
export const presentedQuery = {
  queryKey: ['certificates', 'presented'],
  queryFn: () => body(api.GET('/v1/presented-certificates')),
  refetchInterval: 30_000,
};
