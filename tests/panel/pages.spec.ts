import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { directory, expect, test } from './platform';

const paths = [
  '/',
  '/calls',
  '/cdrs',
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
  '/limits',
  '/server',
  '/media-servers',
  '/media-servers/new',
  '/bans',
  '/settings',
  '/tokens',
  '/audit',
];

const sizes = [
  { width: 1440, height: 900 },
  { width: 390, height: 844 },
];

for (const size of sizes) {
  test(`each page is whole at a width of ${size.width}`, async ({ panel }) => {
    test.setTimeout(240_000);
    const shots = join(directory, 'screenshots');
    mkdirSync(shots, { recursive: true });
    await panel.setViewportSize(size);
    for (const path of paths) {
      await panel.goto(path);
      await expect(panel.getByRole('heading', { level: 1 })).toBeVisible();
      await expect(panel.getByLabel('loading')).toHaveCount(0);
      await expect(panel.getByText('This cannot be shown')).toHaveCount(0);
      // Nothing stands beside the screen: what is wider scrolls in its own box.
      const beyond = await panel.evaluate(
        () => document.documentElement.scrollWidth - window.innerWidth,
      );
      expect(beyond, path).toBeLessThanOrEqual(0);
      const name = path.slice(1).replaceAll('/', '-') || 'overview';
      await panel.screenshot({ path: join(shots, `${name}-${size.width}.png`) });
    }
  });
}

test('every control has a name that can be read out', async ({ panel }) => {
  test.setTimeout(120_000);
  for (const path of paths) {
    await panel.goto(path);
    await expect(panel.getByLabel('loading')).toHaveCount(0);
    const nameless = await panel.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>('button, a[href], input, select, textarea')]
        .filter((control) => control.offsetParent !== null)
        .filter((control) => {
          const labels = (control as HTMLInputElement).labels;
          const named =
            control.getAttribute('aria-label') ?? control.getAttribute('aria-labelledby');
          return !named && !labels?.length && !control.textContent?.trim();
        })
        .map((control) => control.outerHTML.slice(0, 200)),
    );
    expect(nameless, path).toEqual([]);
  }
});
