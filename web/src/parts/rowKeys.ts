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
      if (event.ctrlKey || event.metaKey || event.altKey || isBusy(event.target)) return;
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

/** Whether keys are typed into something, or a dialog is open. */
function isBusy(target: EventTarget | null): boolean {
  if (document.querySelector('[role="dialog"]')) return true;
  return (
    target instanceof HTMLElement && target.closest('input, textarea, button, a, select') != null
  );
}

const STEPS: Record<string, number | undefined> = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };
