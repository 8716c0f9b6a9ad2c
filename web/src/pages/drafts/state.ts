import type { DraftView } from '../../api/types';

/** The state of a draft, as it is called in the panel. */
export function stateWord({ state }: DraftView): string {
  return WORDS[state];
}

const WORDS: Record<DraftView['state'], string> = {
  open: 'not in force',
  applying: 'being applied',
  applied: 'in force',
  'rolled-back': 'rolled back',
};
