import { createRootRoute, createRoute, createRouter, useParams } from '@tanstack/react-router';
import type { Noun } from './api/types';
import { lazily, type Load } from './lazily';
import { parseSearch, stringifySearch } from './parts/filters';
import { Page } from './parts/Page';
import type { Kind } from './records/kind';
import { PageFault } from './shell/PageFault';
import { Shell } from './shell/Shell';

declare module '@tanstack/react-router' {
  interface StaticDataRouteOption {
    /** Brings the page before it is wanted. */
    preload?: () => void;
  }
}

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => <Page title="There is no such page">Ctrl-K finds all there are.</Page>,
});

/** A page that comes when it is wanted. */
function page(path: string, load: Load) {
  const { component, preload } = lazily(load);
  return createRoute({ getParentRoute: () => root, path, component, staticData: { preload } });
}

type LoadKind<N extends Noun> = () => Promise<Kind<N, string>>;

/** The list of a kind, a new one, and each one. */
function pagesOf<N extends Noun>(noun: N, load: LoadKind<N>) {
  return [
    page(`/${noun}`, listOf(load)),
    page(`/${noun}/new`, newOf(load)),
    page(`/${noun}/$id`, oneOf(load)),
  ];
}

function listOf<N extends Noun>(load: LoadKind<N>): Load {
  return async () => {
    const [kind, { RecordsPage }] = await Promise.all([load(), import('./records/RecordsPage')]);
    return function List() {
      return <RecordsPage kind={kind} />;
    };
  };
}

function newOf<N extends Noun>(load: LoadKind<N>): Load {
  return async () => {
    const [kind, { NewRecordPage }] = await Promise.all([load(), import('./records/NewRecordPage')]);
    return function New() {
      return <NewRecordPage kind={kind} />;
    };
  };
}

function oneOf<N extends Noun>(load: LoadKind<N>): Load {
  return async () => {
    const [kind, { RecordPage }] = await Promise.all([load(), import('./records/RecordPage')]);
    return function One() {
      const { id } = useParams({ strict: false }) as { id: string };
      return <RecordPage key={id} kind={kind} id={id} />;
    };
  };
}

const servers = () => import('./pages/servers/kind').then((m) => m.servers);
const zones = () => import('./pages/zones/kind').then((m) => m.zones);

const tree = root.addChildren([
  page('/', () => import('./pages/overview/OverviewPage').then((m) => m.OverviewPage)),
  page('/calls', () => import('./pages/calls/CallsPage').then((m) => m.CallsPage)),
  page('/calls/$id', () => import('./pages/calls/CallPage').then((m) => m.CallPage)),
  page('/cdrs', () => import('./pages/cdrs/CdrsPage').then((m) => m.CdrsPage)),
  page('/traces', () => import('./pages/traces/TracesPage').then((m) => m.TracesPage)),
  page('/traces/ladder', () => import('./pages/traces/LadderPage').then((m) => m.LadderPage)),
  page('/registrations', () =>
    import('./pages/registrations/RegistrationsPage').then((m) => m.RegistrationsPage),
  ),
  page('/recordings', () =>
    import('./pages/recordings/RecordingsPage').then((m) => m.RecordingsPage),
  ),
  ...pagesOf('accounts', () => import('./pages/accounts/kind').then((m) => m.accounts)),
  ...pagesOf('users', () => import('./pages/users/kind').then((m) => m.users)),
  ...pagesOf('devices', () => import('./pages/devices/kind').then((m) => m.devices)),
  ...pagesOf('numbers', () => import('./pages/numbers/kind').then((m) => m.numbers)),
  ...pagesOf('customers', () => import('./pages/customers/kind').then((m) => m.customers)),
  ...pagesOf('carriers', () => import('./pages/carriers/kind').then((m) => m.carriers)),
  ...pagesOf('gateways', () => import('./pages/gateways/kind').then((m) => m.gateways)),
  ...pagesOf('routes', () => import('./pages/routes/kind').then((m) => m.routes)),
  ...pagesOf('media-servers', () =>
    import('./pages/media-servers/kind').then((m) => m.mediaServers),
  ),
  ...pagesOf('people', () => import('./pages/people/kind').then((m) => m.people)),
  ...pagesOf('certificates', () => import('./pages/certificates/kind').then((m) => m.certificates)),
  page('/zones', () => import('./pages/zones/ZonesPage').then((m) => m.ZonesPage)),
  page('/zones/new', newOf(zones)),
  page('/zones/$id', oneOf(zones)),
  ...pagesOf('clusters', () => import('./pages/clusters/kind').then((m) => m.clusters)),
  page('/you', () => import('./pages/you/YouPage').then((m) => m.YouPage)),
  page('/simulator', () => import('./pages/routes/SimulatorPage').then((m) => m.SimulatorPage)),
  page('/drafts', () => import('./pages/drafts/DraftsPage').then((m) => m.DraftsPage)),
  page('/drafts/$id', () => import('./pages/drafts/DraftPage').then((m) => m.DraftPage)),
  page('/limits', () => import('./pages/limits/LimitsPage').then((m) => m.LimitsPage)),
  page('/servers', () => import('./pages/servers/ServersPage').then((m) => m.ServersPage)),
  page('/servers/new', () => import('./pages/servers/JoinPage').then((m) => m.JoinPage)),
  page('/servers/$id', oneOf(servers)),
  page('/dispatchers', () =>
    import('./pages/dispatchers/DispatchersPage').then((m) => m.DispatchersPage),
  ),
  page('/server', () => import('./pages/server/ServerPage').then((m) => m.ServerPage)),
  page('/alerts', () => import('./pages/alerts/AlertsPage').then((m) => m.AlertsPage)),
  page('/posture', () => import('./pages/posture/PosturePage').then((m) => m.PosturePage)),
  page('/bans', () => import('./pages/bans/BansPage').then((m) => m.BansPage)),
  page('/settings', () => import('./pages/settings/SettingsPage').then((m) => m.SettingsPage)),
  page('/tokens', () => import('./pages/tokens/TokensPage').then((m) => m.TokensPage)),
  page('/audit', () => import('./pages/audit/AuditPage').then((m) => m.AuditPage)),
]);

export const router = createRouter({
  routeTree: tree,
  parseSearch,
  stringifySearch,
  defaultErrorComponent: PageFault,
});
