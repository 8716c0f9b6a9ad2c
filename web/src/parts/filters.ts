import { useNavigate, useSearch } from '@tanstack/react-router';
import type { Filters } from '../api/records';

/** Filters live in the URL, so that a view can be sent to somebody else. */
export function useFilters(): [Filters, (change: Filters) => void] {
  const filters = useSearch({ strict: false }) as Filters;
  const navigate = useNavigate();
  const change = (changed: Filters) => {
    const next = Object.entries({ ...filters, ...changed }).filter(([, value]) => value);
    void navigate({ to: '.', search: Object.fromEntries(next) as never, replace: true });
  };
  return [filters, change];
}

/** The query of a URL as plain text: numbers people search for stay texts. */
export function parseSearch(search: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(search));
}

export function stringifySearch(search: Record<string, unknown>): string {
  const entries = Object.entries(search).filter(([, value]) => value != null && value !== '');
  const text = new URLSearchParams(entries as [string, string][]).toString();
  return text && `?${text}`;
}
