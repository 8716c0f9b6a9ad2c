import { useSyncExternalStore } from 'react';

/** The draft that this tab works in. */
export interface OpenDraft {
  id: string;
  name: string;
}

// Above what is read by it as soon as this is loaded.
const KEY = 'draft';
let open: OpenDraft | null = read();
const watchers = new Set<() => void>();

function read(): OpenDraft | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as OpenDraft | null;
  } catch {
    return null;
  }
}

/** From now on records are those of this draft, or, with null, those in force. */
export function workIn(draft: OpenDraft | null): void {
  open = draft;
  try {
    if (draft) sessionStorage.setItem(KEY, JSON.stringify(draft));
    else sessionStorage.removeItem(KEY);
  } catch {
    // Where nothing may be stored it holds until the page is loaded again.
  }
  watchers.forEach((tell) => tell());
}

export function useDraft(): OpenDraft | null {
  return useSyncExternalStore(
    (tell) => {
      watchers.add(tell);
      return () => watchers.delete(tell);
    },
    () => open,
  );
}

/** The draft that a request is about, if one is open and the request is about records that drafts have. */
export function draftOf(path: string): OpenDraft | null {
  return STAGED.test(path) ? open : null;
}

const STAGED =
  /^\/v1\/((accounts|users|devices|numbers|customers|carriers|gateways|routes)(\/[^/:]+)?|routes\/simulate)$/;
