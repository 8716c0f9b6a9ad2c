import { useHotkeys } from '@mantine/hooks';
import { lazy, Suspense, useSyncExternalStore } from 'react';

const bring = () => import('./Search');
const Search = lazy(() => bring().then(({ Search }) => ({ default: Search })));

let asked = false;
const watchers = new Set<() => void>();

/** Opens the search; the first time it is brought. */
export function openSearch(): void {
  if (asked) {
    void import('@mantine/spotlight').then(({ spotlight }) => spotlight.open());
    return;
  }
  asked = true;
  watchers.forEach((tell) => tell());
}

/** Brings the search before it is opened. */
export function preloadSearch(): void {
  void bring().catch(() => {});
}

/** Ctrl-K; from the second time on the search hears it itself. */
export function SearchWhenAsked() {
  const wanted = useSyncExternalStore(watch, () => asked);
  useHotkeys([['mod + K', () => !wanted && openSearch()]], []);
  if (!wanted) return null;
  return (
    <Suspense>
      <Search />
    </Suspense>
  );
}

function watch(tell: () => void) {
  watchers.add(tell);
  return () => watchers.delete(tell);
}
