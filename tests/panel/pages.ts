import type { APIRequestContext, Page } from '@playwright/test';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { directory, expect, make } from './platform';

export const paths = [
  '/',
  '/calls',
  '/cdrs',
  '/traces',
  '/registrations',
  '/recordings',
  '/accounts',
  '/users',
  '/users/new',
  '/devices',
  '/numbers',
  '/numbers/new',
  '/customers',
  '/customers/new',
  '/carriers',
  '/gateways',
  '/gateways/new',
  '/routes',
  '/simulator',
  '/drafts',
  '/limits',
  '/servers',
  '/servers/new',
  '/dispatchers',
  '/zones',
  '/zones/new',
  '/clusters',
  '/clusters/new',
  '/server',
  '/posture',
  '/media-servers',
  '/media-servers/new',
  '/certificates',
  '/certificates/new',
  '/alerts',
  '/bans',
  '/settings',
  '/people',
  '/people/new',
  '/you',
  '/tokens',
  '/audit',
];

/** Something to be seen on each page of records; the page of one of them. */
export async function fill(request: APIRequestContext): Promise<string> {
  const { id: account } = await make(request, '/v1/accounts', { name: 'a customer of ours' });
  const { id: user } = await make(request, '/v1/users', { name: 'carol', account });
  await make(request, '/v1/devices', { name: 'desk phone', user, auth_name: 'carol-desk' });
  const target = { kind: 'user', user };
  await make(request, '/v1/numbers', { number: '+4930123456', account, target });
  const auth = { kind: 'address', networks: ['192.0.2.0/24', '198.51.100.0/24'] };
  await make(request, '/v1/customers', { name: 'wholesale', account, auth });
  const limits = { cps: 50, channels: 100 };
  const { id: carrier } = await make(request, '/v1/carriers', { name: 'acme', limits });
  const gateway = { carrier, host: '127.0.0.1', transport: 'udp' };
  await make(request, '/v1/gateways', { ...gateway, name: 'acme-1', port: 9 });
  await make(request, '/v1/gateways', { ...gateway, name: 'acme-2', port: 10 });
  await make(request, '/v1/routes', { prefix: '49', carrier, cost_per_minute_micros: 12000 });
  await make(request, '/v1/zones', { name: 'berlin', latitude: 52.52, longitude: 13.4 });
  await make(request, '/v1/clusters', { name: 'north', limits });
  const media = { name: 'media-1', control: 'udp:127.0.0.1:9', zone: 'berlin', enabled: false };
  await make(request, '/v1/media-servers', media);
  return `/carriers/${carrier}`;
}

/** Looks at each page, and keeps a picture of it. */
export async function lookAt(panel: Page, pages: string[]): Promise<void> {
  const shots = join(directory, 'screenshots');
  mkdirSync(shots, { recursive: true });
  for (const path of pages) {
    await panel.goto(path);
    await expect(panel.getByRole('heading', { level: 1 })).toBeVisible();
    await expect(panel.getByLabel('loading')).toHaveCount(0);
    await expect(panel.getByText('This cannot be shown')).toHaveCount(0);
    // Nothing stands beside the screen: what is wider scrolls in its own box.
    const beyond = await panel.evaluate(
      () => document.documentElement.scrollWidth - window.innerWidth,
    );
    expect(beyond, path).toBeLessThanOrEqual(0);
    const name =
      path
        .slice(1)
        .replaceAll('/', '-')
        .replace(/-car_.*/, '-one') || 'overview';
    await panel.screenshot({ path: join(shots, `${name}.png`) });
  }
}
