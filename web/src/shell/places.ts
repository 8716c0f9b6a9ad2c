import type { Role } from '../api/types';

/** A page of the panel. */
export interface Place {
  path: string;
  title: string;
  /** Who may see it. */
  role?: Role;
}

/** The pages, as the navigation has them. */
export const places: { group: string; places: Place[] }[] = [
  {
    group: 'Traffic',
    places: [
      { path: '/', title: 'Overview' },
      { path: '/calls', title: 'Live calls' },
      { path: '/cdrs', title: 'CDRs' },
      { path: '/registrations', title: 'Registrations' },
      { path: '/recordings', title: 'Recordings' },
    ],
  },
  {
    group: 'Directory',
    places: [
      { path: '/accounts', title: 'Accounts' },
      { path: '/users', title: 'Users' },
      { path: '/devices', title: 'Devices' },
      { path: '/numbers', title: 'Numbers' },
      { path: '/customers', title: 'Customers' },
    ],
  },
  {
    group: 'Routing',
    places: [
      { path: '/carriers', title: 'Carriers' },
      { path: '/gateways', title: 'Gateways' },
      { path: '/routes', title: 'Routes' },
      { path: '/simulator', title: 'Simulator' },
      { path: '/limits', title: 'Limits' },
    ],
  },
  {
    group: 'Platform',
    places: [
      { path: '/server', title: 'Server' },
      { path: '/media-servers', title: 'Media servers' },
      { path: '/bans', title: 'Bans' },
      { path: '/settings', title: 'Settings' },
      { path: '/tokens', title: 'Tokens', role: 'admin' },
      { path: '/audit', title: 'Audit log', role: 'admin' },
    ],
  },
];
