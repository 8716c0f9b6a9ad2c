import { UNKNOWN } from './format';

/** How many days are left until a certificate ends; few stand out. */
export function Days({ until }: { until: number | null | undefined }) {
  if (until == null) return UNKNOWN;
  const days = Math.floor((until / 1000 - Date.now()) / 86_400_000);
  if (days < 0) return <b style={{ color: 'var(--mantine-color-red-text)' }}>ended</b>;
  return days < FEW ? <b style={{ color: 'var(--mantine-color-red-text)' }}>{days}</b> : days;
}

const FEW = 14;
