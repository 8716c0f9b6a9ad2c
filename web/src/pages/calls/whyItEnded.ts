import type { Cdr } from '../../api/types';
import { duration } from '../../parts/format';

/** Why a call ended, in a sentence. */
export function whyItEnded(cdr: Cdr): string {
  const reason = cdr.reason ? ` (${cdr.reason})` : '';
  if (cdr.outcome === 'answered' && cdr.answer_us != null) {
    const talked = duration((cdr.end_us - cdr.answer_us) / 1e6);
    return `Answered, and ended after ${talked} by ${BY[cdr.ended_by]}${reason}.`;
  }
  const waited = ((cdr.end_us - cdr.start_us) / 1e6).toFixed(1);
  const tried = cdr.attempts === 0 ? 'before anybody was tried' : `after ${waited} s`;
  return `${NOT_ANSWERED[cdr.outcome]} ${tried}: ${cdr.status}${reason}.`;
}

const BY: Record<Cdr['ended_by'], string> = {
  caller: 'the caller',
  callee: 'the called party',
  platform: 'the platform',
};

const NOT_ANSWERED: Record<Cdr['outcome'], string> = {
  answered: 'Answered',
  busy: 'Busy',
  'no-answer': 'Not answered',
  cancelled: 'Given up by the caller',
  failed: 'Failed',
};
