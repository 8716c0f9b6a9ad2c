import { useEffect, useState } from 'react';

interface Options {
  count: number;
  reveal: (index: number) => void;
  open: (index: number) => void;
  enabled: boolean;
}

/** Keys of a list: j and k move, Enter opens, `/` leads to the first filter. The selected row. */
export function useRowKeys({ count, reveal, open, enabled }: Options): number {
  const [selected, setSelected] = useState(-1);
  useEffect(() => {
    if (!enabled) return;
    const handle = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isBusy(event)) return;
      const step = STEPS[event.key];
      if (step !== undefined) {
        const next = Math.min(Math.max(selected + step, 0), count - 1);
        setSelected(next);
        if (next >= 0) reveal(next);
      } else if (event.key === 'Enter' && selected >= 0 && selected < count) {
        open(selected);
      } else if (event.key === '/') {
        document.querySelector<HTMLInputElement>('[data-filter]')?.focus();
      } else {
        return;
      }
      event.preventDefault();
    };
    document.addEventListener('keydown', handle);
    return () => document.removeEventListener('keydown', handle);
  });
  return selected;
}

/** Whether a key is typed into something or means something to it, or a dialog is open. */
function isBusy({ target, key }: KeyboardEvent): boolean {
  if (document.querySelector('[role="dialog"], [role="menu"]')) return true;
  if (!(target instanceof HTMLElement)) return false;
  // Letters mean nothing to links and buttons: the focus is on one after each click.
  const own = key.length === 1 ? 'input, textarea, select' : 'input, textarea, select, button, a';
  return target.closest(own) != null;
}

const STEPS: Record<string, number | undefined> = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };
