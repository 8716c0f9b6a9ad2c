/** What scripts/early.js has asked for before this program was there. */
declare global {
  interface Window {
    tandemEarly?: Map<string, Promise<Response>>;
  }
}

/**
 * Asks the platform. The first time, the answer to what was asked for early is taken, if there is one:
 * it has been under way since before the program came.
 */
export function askedEarly(request: Request): Promise<Response> {
  const early = request.method === 'GET' ? take(new URL(request.url)) : undefined;
  // What failed early may go better now.
  return early ? early.catch(() => fetch(request)) : fetch(request);
}

function take({ pathname, search }: URL): Promise<Response> | undefined {
  // By then it says how things were, not how they are.
  if (performance.now() > FRESH_MS) window.tandemEarly = undefined;
  const path = pathname + search;
  const answer = window.tandemEarly?.get(path);
  window.tandemEarly?.delete(path);
  return answer;
}

/** Whether somebody is signed in, for the next time that the page is opened: a guess, no more. */
export function rememberSignedIn(signedIn: boolean): void {
  try {
    if (signedIn) localStorage.setItem(SIGNED_IN, 'yes');
    else localStorage.removeItem(SIGNED_IN);
  } catch {
    // Storage is closed to this page: nothing is asked for early.
  }
}

const SIGNED_IN = 'tandem-signed-in';
const FRESH_MS = 5000;
