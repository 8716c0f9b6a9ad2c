import { RecordLink } from '../../parts/names';
import { Enabled } from '../../records/cells';
import { accountOrAll, enabled, enabledFilter, mediaZone, rewrite } from '../../records/fields';
import type { Kind } from '../../records/kind';

export const routes: Kind<'routes'> = {
  noun: 'routes',
  one: 'route',
  title: 'Routes',
  about:
    'No route. A route says which carrier takes numbers that begin with a prefix; the longest wins.',
  columns: [
    {
      key: 'prefix',
      title: 'Prefix',
      cell: (route) => route.prefix || 'all numbers',
      kind: 'mono',
    },
    {
      key: 'carrier',
      title: 'Carrier',
      cell: (route) => <RecordLink noun="carriers" id={route.carrier} />,
    },
    { key: 'priority', title: 'Priority', cell: (route) => route.priority ?? 0, kind: 'figure' },
    {
      key: 'cost',
      title: 'Cost a minute',
      cell: (route) => money(route.cost_per_minute_micros),
      kind: 'figure',
    },
    {
      key: 'rewrite',
      title: 'Rewriting',
      cell: (route) => rewriting(route.rewrite),
      kind: 'mono',
      wide: true,
    },
    {
      key: 'account',
      title: 'Account',
      cell: (route) => (route.account ? <RecordLink noun="accounts" id={route.account} /> : 'all'),
      wide: true,
    },
    { key: 'enabled', title: 'State', cell: (route) => <Enabled record={route} /> },
  ],
  filters: [
    { name: 'prefix', label: 'Prefix' },
    { name: 'carrier', label: 'Carrier', of: 'carriers' },
    { name: 'account', label: 'Account', of: 'accounts' },
    enabledFilter,
  ],
  fields: [
    {
      path: 'prefix',
      label: 'Prefix',
      help: 'leading digits without +; empty: all numbers',
      input: { kind: 'text', mono: true },
      empty: '',
    },
    {
      path: 'carrier',
      label: 'Carrier',
      input: { kind: 'record', of: 'carriers' },
      required: true,
    },
    accountOrAll,
    {
      path: 'priority',
      label: 'Priority',
      help: 'lower is tried first',
      input: { kind: 'number', max: 65_535 },
      empty: 0,
    },
    {
      path: 'cost_per_minute_micros',
      label: 'Cost a minute (millionths)',
      help: '12000 is 0.012 of the platform’s currency',
      input: { kind: 'number' },
      empty: 0,
    },
    mediaZone,
    enabled,
    ...rewrite,
  ],
  fresh: { enabled: true, prefix: '', priority: 0 },
};

function money(micros: number | undefined): string {
  return ((micros ?? 0) / 1e6).toFixed(6);
}

function rewriting(rewrite: { strip_digits?: number; prepend?: string } | undefined): string {
  const parts = [
    rewrite?.strip_digits && `strip ${rewrite.strip_digits}`,
    rewrite?.prepend && `prepend ${rewrite.prepend}`,
  ];
  return parts.filter(Boolean).join(', ') || 'none';
}
