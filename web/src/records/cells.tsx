import type { LimitSpec } from '../api/types';
import { count, UNKNOWN } from '../parts/format';
import { StateBadge } from '../parts/StateBadge';

/** Whether a record is used. */
export function Enabled({ record }: { record: { enabled?: boolean } }) {
  return <StateBadge state={record.enabled === false ? 'disabled' : 'enabled'} />;
}

/** Limits of a record in a word: "50 CPS, 100 channels". */
export function limitsText(limits: LimitSpec | undefined): string {
  const parts = [
    limits?.cps != null && `${count(limits.cps)} CPS`,
    limits?.channels != null && `${count(limits.channels)} channels`,
  ].filter(Boolean);
  return parts.join(', ') || 'none';
}

export function orUnknown(text: string | null | undefined): string {
  return text || UNKNOWN;
}
