import type { Certificate } from '../../api/types';
import { Days } from '../../parts/Days';
import { StateBadge } from '../../parts/StateBadge';
import { orUnknown } from '../../records/cells';
import { valueAt, type Draft } from '../../records/field';
import { name } from '../../records/fields';
import type { Kind } from '../../records/kind';
import { CertificateBeside } from './CertificateBeside';

const isFrom = (source: string) => (draft: Draft) => valueAt(draft, 'source.kind') === source;

export const certificates: Kind<'certificates', 'source.domains' | 'source.challenge' | 'key'> = {
  noun: 'certificates',
  one: 'certificate',
  title: 'Certificates',
  about: 'None is kept here: those of the directory tls are shown, or one that we made ourselves.',
  columns: [
    { key: 'name', title: 'Name', cell: (one) => one.name },
    { key: 'days', title: 'Days left', cell: (one) => <Days until={one.facts?.not_after_us} />, kind: 'figure' },
    { key: 'applied', title: 'Shown', cell: (one) => <StateBadge state={shownWord(one)} /> },
    { key: 'kind', title: 'Type', cell: (one) => one.kind ?? 'server' },
    { key: 'source', title: 'From', cell: (one) => one.source?.kind ?? 'upload' },
    { key: 'names', title: 'Names', cell: (one) => orUnknown(namesOf(one).join(', ')), kind: 'mono', wide: true },
    { key: 'error', title: 'Last error', cell: (one) => one.renewal?.error ?? 'none', wide: true },
  ],
  filters: [
    { name: 'name', label: 'Name' },
    { name: 'kind', label: 'Type', options: options('server', 'client') },
    { name: 'source.kind', label: 'From', options: options('upload', 'acme') },
  ],
  fields: [
    name,
    {
      path: 'source.kind',
      label: 'From',
      help: 'acme: an authority issues and renews it',
      input: { kind: 'choice', options: ['upload', 'acme'] },
      required: true,
    },
    {
      path: 'kind',
      label: 'Type',
      help: 'client: what we show to gateways that we connect to',
      input: { kind: 'choice', options: ['server', 'client'] },
      when: isFrom('upload'),
    },
    {
      path: 'applied',
      label: 'Shown',
      help: 'from the next handshake on; connections stay up',
      input: { kind: 'switch' },
    },
    {
      path: 'source.domains',
      label: 'Host names',
      help: 'one a line; by http-01, each has to lead to this machine; *.example.com by dns-01 alone',
      input: { kind: 'lines' },
      required: true,
      when: isFrom('acme'),
    },
    {
      path: 'source.challenge',
      label: 'Shown to be ours',
      help: 'http-01: at port 80 of each; dns-01: by records of the name server in Settings',
      input: { kind: 'choice', options: ['http-01', 'dns-01'] },
      required: true,
      when: isFrom('acme'),
    },
    {
      path: 'chain',
      label: 'Chain',
      help: 'PEM, its own certificate first',
      input: { kind: 'pem' },
      required: true,
      when: isFrom('upload'),
    },
    {
      path: 'key',
      label: 'Private key',
      help: 'PEM without a passphrase; never shown again. Empty: it stays',
      input: { kind: 'pem' },
      when: isFrom('upload'),
    },
  ],
  fresh: { source: { kind: 'upload', challenge: 'http-01' }, kind: 'server', applied: false },
  finish,
  Beside: CertificateBeside,
};

/** What the API takes: of each source its own fields. */
function finish({ chain, key, ...draft }: Draft): Draft {
  const domains = valueAt(draft, 'source.domains');
  const challenge = valueAt(draft, 'source.challenge') ?? 'http-01';
  return isFrom('acme')(draft)
    ? { ...draft, kind: 'server', source: { kind: 'acme', domains, challenge } }
    : { ...draft, source: { kind: 'upload' }, chain, ...(key ? { key } : {}) };
}

export function shownWord(one: Certificate): string {
  if (!one.facts) return 'not there yet';
  return one.applied ? 'shown' : 'not shown';
}

/** What it is for, or will be. */
export function namesOf(one: Certificate): string[] {
  if (one.facts) return one.facts.names;
  return one.source?.kind === 'acme' ? one.source.domains : [];
}

function options(...values: string[]) {
  return values.map((value) => ({ value, label: value }));
}
