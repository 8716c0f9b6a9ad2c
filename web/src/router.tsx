import { createRootRoute, createRoute, createRouter, useParams } from '@tanstack/react-router';
import type { FunctionComponent } from 'react';
import type { Noun } from './api/types';
import { accounts } from './pages/accounts/kind';
import { AlertsPage } from './pages/alerts/AlertsPage';
import { AuditPage } from './pages/audit/AuditPage';
import { BansPage } from './pages/bans/BansPage';
import { CallPage } from './pages/calls/CallPage';
import { CallsPage } from './pages/calls/CallsPage';
import { carriers } from './pages/carriers/kind';
import { CdrsPage } from './pages/cdrs/CdrsPage';
import { certificates } from './pages/certificates/kind';
import { clusters } from './pages/clusters/kind';
import { customers } from './pages/customers/kind';
import { devices } from './pages/devices/kind';
import { DispatchersPage } from './pages/dispatchers/DispatchersPage';
import { gateways } from './pages/gateways/kind';
import { LimitsPage } from './pages/limits/LimitsPage';
import { people } from './pages/people/kind';
import { mediaServers } from './pages/media-servers/kind';
import { numbers } from './pages/numbers/kind';
import { OverviewPage } from './pages/overview/OverviewPage';
import { PosturePage } from './pages/posture/PosturePage';
import { RecordingsPage } from './pages/recordings/RecordingsPage';
import { RegistrationsPage } from './pages/registrations/RegistrationsPage';
import { routes } from './pages/routes/kind';
import { SimulatorPage } from './pages/routes/SimulatorPage';
import { ServerPage } from './pages/server/ServerPage';
import { JoinPage } from './pages/servers/JoinPage';
import { servers } from './pages/servers/kind';
import { ServersPage } from './pages/servers/ServersPage';
import { SettingsPage } from './pages/settings/SettingsPage';
import { TokensPage } from './pages/tokens/TokensPage';
import { LadderPage } from './pages/traces/LadderPage';
import { TracesPage } from './pages/traces/TracesPage';
import { users } from './pages/users/kind';
import { YouPage } from './pages/you/YouPage';
import { zones } from './pages/zones/kind';
import { ZonesPage } from './pages/zones/ZonesPage';
import { parseSearch, stringifySearch } from './parts/filters';
import { Page } from './parts/Page';
import type { Kind } from './records/kind';
import { NewRecordPage } from './records/NewRecordPage';
import { RecordPage } from './records/RecordPage';
import { RecordsPage } from './records/RecordsPage';
import { Shell } from './shell/Shell';

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => <Page title="There is no such page">Ctrl-K finds all there are.</Page>,
});

const page = (path: string, component: FunctionComponent) =>
  createRoute({ getParentRoute: () => root, path, component });

/** The list of a kind, a new one, and each one. */
function pagesOf<N extends Noun>(kind: Kind<N, string>) {
  const List = () => <RecordsPage kind={kind} />;
  const path = `/${kind.noun}`;
  return [page(path, List), page(`${path}/new`, newOf(kind)), page(`${path}/$id`, oneOf(kind))];
}

function newOf<N extends Noun>(kind: Kind<N, string>) {
  return function New() {
    return <NewRecordPage kind={kind} />;
  };
}

function oneOf<N extends Noun>(kind: Kind<N, string>) {
  return function One() {
    const { id } = useParams({ strict: false }) as { id: string };
    return <RecordPage key={id} kind={kind} id={id} />;
  };
}

const tree = root.addChildren([
  page('/', OverviewPage),
  page('/calls', CallsPage),
  page('/calls/$id', CallPage),
  page('/cdrs', CdrsPage),
  page('/traces', TracesPage),
  page('/traces/ladder', LadderPage),
  page('/registrations', RegistrationsPage),
  page('/recordings', RecordingsPage),
  ...pagesOf(accounts),
  ...pagesOf(users),
  ...pagesOf(devices),
  ...pagesOf(numbers),
  ...pagesOf(customers),
  ...pagesOf(carriers),
  ...pagesOf(gateways),
  ...pagesOf(routes),
  ...pagesOf(mediaServers),
  ...pagesOf(people),
  ...pagesOf(certificates),
  page('/zones', ZonesPage),
  page('/zones/new', newOf(zones)),
  page('/zones/$id', oneOf(zones)),
  ...pagesOf(clusters),
  page('/you', YouPage),
  page('/simulator', SimulatorPage),
  page('/limits', LimitsPage),
  page('/servers', ServersPage),
  page('/servers/new', JoinPage),
  page('/servers/$id', oneOf(servers)),
  page('/dispatchers', DispatchersPage),
  page('/server', ServerPage),
  page('/alerts', AlertsPage),
  page('/posture', PosturePage),
  page('/bans', BansPage),
  page('/settings', SettingsPage),
  page('/tokens', TokensPage),
  page('/audit', AuditPage),
]);

export const router = createRouter({ routeTree: tree, parseSearch, stringifySearch });
