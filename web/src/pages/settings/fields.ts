import type { Settings } from '../../api/types';
import type { Field, PathOf } from '../../records/field';
import { limits } from '../../records/fields';

type Path = PathOf<Settings>;

const number = (path: Path, label: string, help?: string, section?: string): Field<Path> => ({
  path,
  label,
  help,
  section,
  input: { kind: 'number' },
  required: true,
});

const text = (path: Path, label: string, help: string, section?: string): Field<Path> => ({
  path,
  label,
  help,
  section,
  input: { kind: 'text', mono: true },
  empty: null,
});

const choice = (path: Path, label: string, options: string[], section?: string): Field<Path> => ({
  path,
  label,
  section,
  input: { kind: 'choice', options },
  required: true,
});

const turned = (path: Path, label: string): Field<Path> => ({
  path,
  label,
  input: { kind: 'switch' },
});

/** What applies where no record says otherwise. */
export const settingsFields: Field<Path>[] = [
  {
    path: 'domain',
    label: 'Domain',
    help: 'the digest realm; another one makes all passwords void',
    input: { kind: 'text', mono: true },
    required: true,
    section: 'Identity',
  },
  choice('digest', 'Digest offered', ['md5', 'sha-256', 'both']),
  number(
    'registration_default_s',
    'Default expiry (s)',
    'of a REGISTER without one',
    'Registration',
  ),
  number('registration_min_s', 'Shortest (s)', 'shorter gets 423'),
  number('registration_max_s', 'Longest (s)', 'longer is shortened'),
  number('contacts_max', 'Contacts a user'),
  choice('keep_alive', 'Keep-alive', ['options', 'empty']),
  number('keep_alive_interval_s', 'Keep-alive every (s)', '0: off'),
  turned('verify_bindings', 'Verify UDP contacts before calls go there'),
  number('ring_timeout_s', 'Ring timeout (s)', undefined, 'Calls'),
  number('call_duration_max_s', 'Longest call (s)'),
  number('gateway_timeout_ms', 'Gateway timeout (ms)', 'then the next is tried'),
  number('session_expires_s', 'Session-Expires (s)', '0: no session timers'),
  number('session_expires_min_s', 'Least Session-Expires (s)', 'at least 90'),
  number('cdr_retention_days', 'CDRs are kept (days)', '0: for ever'),
  choice('media', 'Media', ['relay', 'bypass'], 'Media'),
  number('media_timeout_s', 'Media timeout (s)', 'silence that ends a call; 0: never'),
  text('music_on_hold', 'Music on hold', 'a WAV file on the server; empty: none'),
  choice('music_on_hold_over', 'Music over', ['silence', 'everything']),
  choice('recording_format', 'Recordings', ['wav', 'opus']),
  ...limits.map((field) =>
    field.section ? { ...field, section: 'Limits of this server' } : field,
  ),
  {
    path: 'overflow.peers',
    label: 'Overflow peers',
    help: 'host[:port] of servers that stand in for each other, one a line (302)',
    input: { kind: 'lines' },
  },
  { ...number('overflow.retry_after_s', 'Retry-After of that 503 (s)'), required: false, empty: 0 },
  text(
    'recording_store.endpoint',
    'Endpoint',
    'https://host[:port], S3; empty: files stay',
    'Store of recordings',
  ),
  { ...text('recording_store.bucket', 'Bucket', 'it must be there'), empty: '' },
  { ...text('recording_store.prefix', 'Prefix', 'before each name'), empty: '' },
  { ...text('recording_store.region', 'Region', 'as the store calls it'), empty: '' },
  choice('recording_store.addressing', 'Bucket is named by', ['path', 'host']),
  choice('recording_store.after_upload', 'Uploaded files here', ['keep', 'delete']),
  text('hep_collector', 'Collector', 'host:port of Homer; empty: none', 'HEP'),
  number('hep_node_id', 'Node number'),
  choice('hep_transport', 'Transport', ['udp', 'tcp']),
  turned('hep_sip', 'SIP messages, too'),
  choice('trace.mode', 'Kept of messages', ['full', 'headers', 'off'], 'SIP trace'),
  choice('trace.texts', 'Texts of MESSAGE', ['hide', 'keep']),
  turned('trace.registrations', 'REGISTER, too'),
  turned('trace.keep_alives', 'OPTIONS, too'),
  number('trace.days', 'Kept (days)', 'at most'),
  number('trace.megabytes', 'Kept (MB)', 'on this server; beyond, the oldest go'),
  text('trace.hep_listen', 'HEP from others', 'address:port, UDP and TCP; empty: none'),
  {
    path: 'trace.hep_sources',
    label: 'Networks that may tell by HEP',
    help: 'one a line: 192.0.2.0/24',
    input: { kind: 'lines' },
  },
  number('alerts.down_s', 'Down for (s)', 'a gateway or media server; 0: off', 'Alerts'),
  number('alerts.headroom_percent', 'In use (%)', 'channels of this server; a zone or cluster of several servers; 0: off'),
  number('alerts.certificate_days', 'Certificate (days left)', '0: off'),
  number('alerts.carrier_asr_percent', 'Answered of a carrier (%)', 'within 15 minutes; 0: off'),
  number('alerts.media_loss_percent', 'Lost packets (%)', 'within 15 minutes; 0: off'),
  text('alerts.webhook', 'Webhook', 'https://…, signed; empty: none'),
  text('alerts.email.server', 'Mail server', 'host:port; empty: no mail'),
  choice('alerts.email.security', 'Way to it', ['starttls', 'tls', 'none']),
  { ...text('alerts.email.from', 'Mails come from', 'name@example.com'), empty: '' },
  {
    path: 'alerts.email.to',
    label: 'Mails go to',
    help: 'one a line: name@example.com',
    input: { kind: 'lines' },
  },
  {
    ...text('acme.directory', 'Directory of the authority', 'https://…; empty: nobody is asked'),
    section: 'Certificates by ACME',
  },
  turned('acme.terms_agreed', 'Its terms of service are agreed to'),
  text('acme.contact', 'Where it writes to us', 'name@example.com; empty: nowhere'),
  number('acme.http_port', 'Port of its challenges', 'http-01; open only while there is one'),
  text('acme.dns.server', 'Name server', 'dns-01; host:port of the primary, which takes signed updates; empty: none'),
  text('acme.dns.zone', 'Zone', 'empty: the name server is asked'),
  { ...text('acme.dns.key_name', 'Name of its key', 'as in its configuration'), empty: '' },
  choice('acme.dns.key_algorithm', 'The key signs by', ['hmac-sha256', 'hmac-sha384', 'hmac-sha512']),
  {
    path: 'acme.dns.key_secret',
    label: 'Key',
    help: 'base64; never shown again. Empty: it stays',
    input: { kind: 'password' },
  },
  number('acme.dns.settle_s', 'Wait for other name servers (s)', 'before the authority is asked'),
  {
    ...text('oidc.issuer', 'Issuer', 'https://… exactly as the provider writes it; empty: none'),
    section: 'Signing in by a provider (OpenID Connect)',
  },
  { ...text('oidc.name', 'Its name', '“Sign in with …”'), empty: '' },
  { ...text('oidc.client_id', 'Client', 'what it calls us'), empty: '' },
  { ...text('oidc.panel_url', 'Address of the panel', 'https://panel.example.com'), empty: '' },
  {
    path: 'oidc.scopes',
    label: 'Scopes besides openid',
    help: 'one a line',
    input: { kind: 'lines' },
  },
  { ...text('oidc.name_claim', 'Claim with the name', 'preferred_username, email …'), empty: '' },
  choice('oidc.newcomers', 'Who is not known here', ['refuse', 'make']),
  {
    path: 'oidc.rules',
    label: 'Rules',
    help: '{ "claim": "groups", "value": "telephony", "role": "operator" } and, if wanted, "account": "acc_…", "zones": ["zone_…"]; the first that fits counts',
    input: { kind: 'json' },
  },
  {
    path: 'dispatchers',
    label: 'Networks of dispatchers',
    help: 'one a line: 192.0.2.0/24',
    input: { kind: 'lines' },
    section: 'Dispatchers before this server',
  },
];
