import { useRouter } from '@tanstack/react-router';
import type { AnyRoute } from '@tanstack/react-router';

interface Routes {
  getMatchedRoutes(path: string): readonly [matched: readonly AnyRoute[], ...unknown[]];
}

/** Brings the page of a path, which may have a query, if it is not there. */
export function preload(router: Routes, path: string): void {
  const [matched] = router.getMatchedRoutes(path.split('?')[0] ?? path);
  for (const route of matched) route.options.staticData?.preload?.();
}

/** Brings pages that somebody points at: what a link does with a pointer, a finger or the focus. */
export function usePreload(): (path: string) => {
  onMouseEnter: () => void;
  onFocus: () => void;
  onTouchStart: () => void;
} {
  const router = useRouter();
  return (path) => {
    const bring = () => preload(router, path);
    return { onMouseEnter: bring, onFocus: bring, onTouchStart: bring };
  };
}
