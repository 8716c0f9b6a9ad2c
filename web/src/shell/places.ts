/** A page of the panel. */
export interface Place {
  path: string;
  title: string;
  /** The area of the API that it shows; without one it is for who sees the whole platform. */
  area?: string;
}

/** The pages, as the navigation has them. */
export const places: { group: string; places: Place[] }[] = [
  {
    group: 'Traffic',
    places: [
      { path: '/', title: 'Overview', area: 'limits' },
      { path: '/calls', title: 'Live calls', area: 'calls' },
      { path: '/cdrs', title: 'CDRs', area: 'cdrs' },
      { path: '/traces', title: 'SIP trace', area: 'traces' },
      { path: '/registrations', title: 'Registrations', area: 'registrations' },
      { path: '/recordings', title: 'Recordings', area: 'recordings' },
    ],
  },
  {
    group: 'Directory',
    places: [
      { path: '/accounts', title: 'Accounts', area: 'accounts' },
      { path: '/users', title: 'Users', area: 'users' },
      { path: '/devices', title: 'Devices', area: 'devices' },
      { path: '/numbers', title: 'Numbers', area: 'numbers' },
      { path: '/customers', title: 'Customers', area: 'customers' },
    ],
  },
  {
    group: 'Routing',
    places: [
      { path: '/carriers', title: 'Carriers', area: 'carriers' },
      { path: '/gateways', title: 'Gateways', area: 'gateways' },
      { path: '/routes', title: 'Routes', area: 'routes' },
      { path: '/simulator', title: 'Simulator', area: 'routes' },
      { path: '/drafts', title: 'Drafts', area: 'drafts' },
      { path: '/limits', title: 'Limits', area: 'limits' },
    ],
  },
  {
    group: 'Platform',
    places: [
      { path: '/servers', title: 'Servers', area: 'servers' },
      { path: '/dispatchers', title: 'Dispatchers', area: 'server-health' },
      { path: '/zones', title: 'Zones & clusters', area: 'zones' },
      { path: '/server', title: 'This server', area: 'listeners' },
      { path: '/posture', title: 'Posture', area: 'posture' },
      { path: '/media-servers', title: 'Media servers', area: 'media-servers' },
      { path: '/certificates', title: 'Certificates', area: 'certificates' },
      { path: '/alerts', title: 'Alerts', area: 'alerts' },
      { path: '/bans', title: 'Bans', area: 'bans' },
      { path: '/settings', title: 'Settings', area: 'settings' },
      { path: '/people', title: 'People', area: 'people' },
      { path: '/tokens', title: 'Tokens', area: 'tokens' },
      { path: '/audit', title: 'Audit log', area: 'audit' },
    ],
  },
];
