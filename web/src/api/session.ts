import { queryOptions, useQuery } from '@tanstack/react-query';
import { api, body, setCsrfToken } from './client';
import { isRefusal } from './problem';
import type { Role, SessionView } from './types';

/** Who is signed in; null if nobody is. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async (): Promise<SessionView | null> => {
    try {
      return remember(await body(api.GET('/v1/session')));
    } catch (error) {
      if (isRefusal(error, 401)) return remember(null);
      throw error;
    }
  },
  staleTime: Infinity,
});

export async function signIn(token: string): Promise<SessionView | null> {
  return remember(await body(api.POST('/v1/session', { body: { token } })));
}

export async function signOut(): Promise<void> {
  await body(api.DELETE('/v1/session'));
  remember(null);
}

/** Whether who is signed in may do what this role may. */
export function useMay(role: Role): boolean {
  const { data } = useQuery(sessionQuery);
  return data != null && ROLES.indexOf(data.role) >= ROLES.indexOf(role);
}

function remember(session: SessionView | null): SessionView | null {
  setCsrfToken(session?.csrf_token ?? null);
  return session;
}

const ROLES: Role[] = ['viewer', 'operator', 'admin'];
