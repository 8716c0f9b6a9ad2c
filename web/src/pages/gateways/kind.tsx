import type { Gateway } from '../../api/types';
import { RecordLink } from '../../parts/names';
import { Enabled } from '../../records/cells';
import { valueAt, type Draft } from '../../records/field';
import { enabled, enabledFilter, limits, name } from '../../records/fields';
import type { Kind } from '../../records/kind';
import { GatewayBeside } from './GatewayBeside';
import { GatewayRtt, GatewayState } from './GatewayState';

export const gateways: Kind<'gateways', 'registers'> = {
  noun: 'gateways',
  one: 'gateway',
  title: 'Gateways',
  about: 'No gateway. A gateway is one address of a carrier.',
  columns: [
    { key: 'name', title: 'Name', cell: (gateway) => gateway.name },
    { key: 'health', title: 'Health', cell: (gateway) => <GatewayState gateway={gateway.id} /> },
    { key: 'address', title: 'Address', cell: address, kind: 'mono' },
    {
      key: 'carrier',
      title: 'Carrier',
      cell: (gateway) => <RecordLink noun="carriers" id={gateway.carrier} />,
    },
    {
      key: 'rtt',
      title: 'OPTIONS RTT',
      cell: (gateway) => <GatewayRtt gateway={gateway.id} />,
      kind: 'figure',
      wide: true,
    },
    {
      key: 'priority',
      title: 'Priority',
      cell: (gateway) => gateway.priority ?? 0,
      kind: 'figure',
      wide: true,
    },
    {
      key: 'weight',
      title: 'Weight',
      cell: (gateway) => gateway.weight ?? 1,
      kind: 'figure',
      wide: true,
    },
    { key: 'enabled', title: 'State', cell: (gateway) => <Enabled record={gateway} /> },
  ],
  filters: [
    { name: 'name', label: 'Name' },
    { name: 'host', label: 'Host' },
    { name: 'carrier', label: 'Carrier', of: 'carriers' },
    enabledFilter,
  ],
  fields: [
    name,
    {
      path: 'carrier',
      label: 'Carrier',
      input: { kind: 'record', of: 'carriers' },
      required: true,
    },
    {
      path: 'host',
      label: 'Host',
      help: 'a name or an IP address',
      input: { kind: 'text', mono: true },
      required: true,
    },
    {
      path: 'port',
      label: 'Port',
      help: 'empty: by DNS (RFC 3263)',
      input: { kind: 'number', min: 1, max: 65_535 },
      empty: null,
    },
    {
      path: 'transport',
      label: 'Transport',
      help: 'empty: by DNS (RFC 3263)',
      input: { kind: 'choice', options: ['udp', 'tcp', 'tls', 'ws', 'wss'] },
      empty: null,
    },
    enabled,
    { path: 'inbound', label: 'Takes calls from it', input: { kind: 'switch' } },
    {
      path: 'priority',
      label: 'Priority',
      help: 'lower is tried first',
      input: { kind: 'number', max: 65_535 },
      empty: 0,
      section: 'Choice and health',
    },
    {
      path: 'weight',
      label: 'Weight',
      help: 'share among equals; 0: last',
      input: { kind: 'number', max: 65_535 },
      empty: 0,
    },
    {
      path: 'ping_interval_s',
      label: 'OPTIONS interval (s)',
      help: '0: no health checks',
      input: { kind: 'number' },
      empty: 0,
    },
    {
      path: 'no_answer_timeout_ms',
      label: 'No-answer timeout (ms)',
      help: '0: as in Settings',
      input: { kind: 'number' },
      empty: 0,
    },
    {
      path: 'auth.username',
      label: 'User name',
      help: 'digest; empty: none',
      input: { kind: 'text', mono: true },
      section: 'Our identity there',
    },
    {
      path: 'auth.password',
      label: 'Password',
      help: 'empty: it stays',
      input: { kind: 'password' },
    },
    {
      path: 'registers',
      label: 'We register there',
      input: { kind: 'switch' },
    },
    {
      path: 'registration.user',
      label: 'Registered user',
      help: 'empty: the user name',
      input: { kind: 'text', mono: true },
      empty: null,
      when: registers,
    },
    {
      path: 'registration.domain',
      label: 'Registered domain',
      help: 'empty: the host',
      input: { kind: 'text', mono: true },
      empty: null,
      when: registers,
    },
    {
      path: 'registration.contact',
      label: 'Calls come to',
      help: 'a dispatcher, host or host:port; empty: the node that registers',
      input: { kind: 'text', mono: true },
      empty: null,
      when: registers,
    },
    {
      path: 'registration.expiry_s',
      label: 'Expiry asked (s)',
      input: { kind: 'number', min: 60, max: 86_400 },
      when: registers,
    },
    ...limits,
  ],
  fresh: {
    enabled: true,
    inbound: true,
    priority: 0,
    weight: 1,
    ping_interval_s: 30,
    no_answer_timeout_ms: 0,
    registration: { expiry_s: 3600 },
  },
  open: (record) => ({
    ...record,
    registers: record.registration != null,
    registration: record.registration ?? { expiry_s: 3600 },
  }),
  finish,
  Beside: GatewayBeside,
};

function registers(draft: Draft): boolean {
  return draft.registers === true;
}

/** Without credentials that were emptied, and without the registration that is not wanted. */
function finish({ registers: wanted, ...draft }: Draft): Draft {
  const named = valueAt(draft, 'auth.username');
  const auth = named ? draft.auth : null;
  return { ...draft, auth, registration: wanted ? draft.registration : null };
}

function address({ host, port, transport }: Gateway): string {
  return `${transport ? `${transport}:` : ''}${String(host)}${port ? `:${port}` : ''}`;
}
