import { createElement, use, type FunctionComponent } from 'react';
import { whenMissing } from './upgrade';

/** Brings a page. */
export type Load = () => Promise<FunctionComponent>;

/**
 * A page that is brought when it is shown first, or before by `preload`; once it is there it is
 * shown at once. React's own `lazy` cannot be asked beforehand, and waits even for what is there.
 */
export function lazily(load: Load): { component: FunctionComponent; preload: () => void } {
  let page: FunctionComponent | undefined;
  let coming: Promise<FunctionComponent> | undefined;
  // The same with what is done about a failure; it lasts, as a page that is drawn again must not
  // ask again.
  let shown: Promise<FunctionComponent> | undefined;
  let failed = false;
  const bring = () => {
    coming ??= load().then(
      (component) => (page = component),
      (error: unknown) => {
        failed = true;
        throw error;
      },
    );
    return coming;
  };
  return {
    component: function Lazy() {
      shown ??= bring().catch(whenMissing);
      return createElement(page ?? use(shown));
    },
    preload: () => {
      if (failed) {
        coming = undefined;
        shown = undefined;
        failed = false;
      }
      // Whoever wants to see it is told what is wrong.
      void bring().catch(() => {});
    },
  };
}
