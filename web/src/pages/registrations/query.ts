import { api, body } from '../../api/client';

/** Registrations of a user. */
export function registrationsQuery(user: string) {
  return {
    queryKey: ['registrations', 'of', user],
    queryFn: () => body(api.GET('/v1/registrations', { params: { query: { user, limit: 100 } } })),
    refetchInterval: 15_000,
  };
}
