import type { AuditEntry } from '../../api/types';

/** What became of a record. */
export function verb({ before, after }: AuditEntry): string {
  if (before == null) return 'made';
  return after == null ? 'deleted' : 'changed';
}

/** What people call a record that was changed. */
export function named({ record, before, after }: AuditEntry): string {
  const known = (after ?? before) as Record<string, unknown> | null;
  const name = known?.name ?? known?.number ?? known?.prefix;
  return typeof name === 'string' && name ? name : record;
}
