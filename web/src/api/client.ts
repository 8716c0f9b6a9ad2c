import createClient from 'openapi-fetch';
import { draftOf } from './draft';
import { Refusal } from './problem';
import type { paths } from './schema';
import type { Problem } from './types';

/** The API of the platform that this page came from. */
export const api = createClient<paths>({ baseUrl: '' });

let csrfToken: string | null = null;
let whenSignedOut: () => void = () => {};

/** What changes have to show besides the cookie. */
export function setCsrfToken(token: string | null): void {
  csrfToken = token;
}

/** What is to be done when the API says that the session is over. */
export function onSignedOut(react: () => void): void {
  whenSignedOut = react;
}

api.use({
  onRequest({ request }) {
    if (csrfToken && request.method !== 'GET') request.headers.set('X-CSRF-Token', csrfToken);
    const draft = draftOf(new URL(request.url).pathname);
    if (draft) request.headers.set('Tandem-Draft', draft.id);
    return request;
  },
  onResponse({ response, request }) {
    const signsIn = new URL(request.url).pathname === '/v1/session';
    if (response.status === 401 && !signsIn) whenSignedOut();
    return response;
  },
});

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of an answer; a refusal is thrown. */
export async function body<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) return data as T;
  throw refusal(error, response);
}

/** The body of an answer with its ETag; a refusal is thrown. */
export async function tagged<T>(answer: Promise<Answer<T>>): Promise<{ value: T; etag: string }> {
  const { data, error, response } = await answer;
  if (!response.ok) throw refusal(error, response);
  return { value: data as T, etag: response.headers.get('etag') ?? '*' };
}

function refusal(error: unknown, response: Response): Refusal {
  const problem = error as Partial<Problem> | undefined;
  return new Refusal({
    type: problem?.type ?? 'about:blank',
    title: problem?.title ?? response.statusText,
    status: response.status,
    code: problem?.code ?? 'unknown',
    detail: problem?.detail ?? `the platform answered ${response.status}`,
    errors: problem?.errors ?? [],
  });
}
