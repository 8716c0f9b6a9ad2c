import { queryOptions, useQuery } from '@tanstack/react-query';
import { api, body, setCsrfToken } from './client';
import { isRefusal } from './problem';
import type { Role, SessionView } from './types';

/** Who is signed in; null if nobody is. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async (): Promise<SessionView | null> => {
    try {
      return remember(await body(api.GET('/v1/session', { fetch: firstAnswer() })));
    } catch (error) {
      if (isRefusal(error, 401)) return remember(null);
      throw error;
    }
  },
  staleTime: Infinity,
});

/** What somebody signs in with. */
export interface Shown {
  name?: string;
  password?: string;
  code?: string;
  token?: string;
}

export async function signIn(shown: Shown): Promise<SessionView | null> {
  return remember(await body(api.POST('/v1/session', { body: shown })));
}

/** The provider by which people sign in, too; its name is null where there is none. */
export const providerQuery = queryOptions({
  queryKey: ['session', 'provider'],
  queryFn: () => body(api.GET('/v1/session/oidc')),
  // Passwords are good without it: nobody waits for it or is told of it.
  retry: false,
});

export async function signOut(): Promise<void> {
  await body(api.DELETE('/v1/session'));
  remember(null);
}

/** Whether who is signed in may do what this role may. */
export function useMay(role: Role): boolean {
  const { data } = useQuery(sessionQuery);
  return data != null && ROLES.indexOf(data.role) >= ROLES.indexOf(role);
}

/** Whether an area is open to somebody, or, where none is named, the whole platform. */
export function isOpen(session: SessionView | null | undefined, area?: string): boolean {
  if (!session) return false;
  if (area === undefined) return session.account == null && session.zones.length === 0;
  return session.areas.some((known) => known.area === area);
}

/** Whether a part of the API is open to who is signed in: `users`, to be changed. */
export function useOpen(area: string, wanted: 'read' | 'change' = 'read'): boolean {
  const { data } = useQuery(sessionQuery);
  const open = data?.areas.find((known) => known.area === area);
  return open != null && (wanted === 'read' || open.may === 'change');
}

declare global {
  interface Window {
    /** What scripts/early.js has asked before this program was there. */
    tandemSession?: Promise<Response>;
  }
}

/** The answer that is under way, the first time. */
function firstAnswer(): (() => Promise<Response>) | undefined {
  const asked = window.tandemSession;
  delete window.tandemSession;
  return asked && (() => asked);
}

function remember(session: SessionView | null): SessionView | null {
  setCsrfToken(session?.csrf_token ?? null);
  return session;
}

const ROLES: Role[] = ['viewer', 'operator', 'admin'];
