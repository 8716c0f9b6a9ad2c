import type { Filters } from '../../api/records';

/** Periods that are asked for often, by how many seconds they go back. */
export const periods = [
  { value: '3600', label: 'last hour' },
  { value: '86400', label: 'last 24 hours' },
  { value: '604800', label: 'last 7 days' },
  { value: '2592000', label: 'last 30 days' },
];

/** The filters of the URL as the API has them: it knows no "last hour". */
export function asQuery({ period, ...filters }: Filters) {
  const query: Record<string, unknown> = { ...filters };
  if (period) query.from_us = Math.round((Date.now() / 1000 - Number(period)) * 1e6);
  return query;
}
