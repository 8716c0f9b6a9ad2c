import { expect, make, picture, test } from './platform';

test('the frame is there before the program, in the colours that were chosen', async ({ panel }) => {
  let go = () => {};
  const held = new Promise<void>((release) => (go = release));
  await panel.route('**/assets/index-*.js', async (route) => {
    await held;
    await route.continue();
  });
  await panel.emulateMedia({ colorScheme: 'dark' });
  await panel.goto('/calls', { waitUntil: 'commit' });
  await expect(panel.locator('.frame header')).toHaveText('Tandem');
  await expect(panel.getByLabel('loading')).toBeVisible();
  const ground = () =>
    panel.locator('.frame').evaluate((frame) => getComputedStyle(frame).backgroundColor);
  expect(await ground()).toBe('rgb(36, 36, 36)');
  await picture(panel, 'frame');
  go();
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Live calls');
  await expect(panel.locator('.frame')).toHaveCount(0);
});

test('pages come when they are wanted, and as soon as somebody points at them', async ({ panel }) => {
  const brought: string[] = [];
  panel.on('request', (request) => brought.push(new URL(request.url()).pathname));
  const isBrought = (part: string) => brought.some((path) => path.includes(part));
  await panel.goto('/calls');
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Live calls');
  for (const part of ['SimulatorPage', 'OverviewPage']) {
    expect(isBrought(part), part).toBe(false);
  }
  const link = panel.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Simulator' });
  await link.focus();
  await expect.poll(() => isBrought('SimulatorPage')).toBe(true);
  expect(new URL(panel.url()).pathname).toBe('/calls');
});

test('a page whose parts an upgrade has replaced is loaded again once, and says so', async ({
  panel,
  baseURL,
}) => {
  await panel.goto('/calls');
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Live calls');
  let isOld = true;
  let loads = 0;
  panel.on('request', (request) => {
    if (request.isNavigationRequest()) loads += 1;
  });
  await panel.route('**/assets/SimulatorPage-*.js', (route) =>
    isOld ? route.fulfill({ status: 404, body: '{}' }) : route.continue(),
  );
  await panel.route(`${baseURL}/`, async (route) => {
    isOld = false;
    await route.fulfill({ body: '<script type="module" src="/assets/index-newer.js"></script>' });
  });
  await panel.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Simulator' }).click();
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Route simulator');
  await expect(panel.getByText('The server has a newer panel: this page was loaded again.')).toBeVisible();
  expect(loads).toBe(1);
});

test('a page that does not come says so, and leaves the others', async ({ panel }) => {
  await panel.goto('/calls');
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Live calls');
  let isAway = true;
  await panel.route('**/assets/SimulatorPage-*.js', (route) =>
    isAway ? route.abort() : route.continue(),
  );
  const pages = panel.getByRole('navigation', { name: 'Pages' });
  await pages.getByRole('link', { name: 'Simulator' }).click();
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('This page cannot be shown');
  await pages.getByRole('link', { name: 'Limits' }).click();
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Limits');
  isAway = false;
  await pages.getByRole('link', { name: 'Simulator' }).click();
  await panel.getByRole('button', { name: 'Load it again' }).or(
    panel.getByRole('heading', { name: 'Route simulator' }),
  ).first().waitFor();
  const again = panel.getByRole('button', { name: 'Load it again' });
  if (await again.isVisible()) await again.click();
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Route simulator');
});

test('what is old because the platform does not answer says how old it is', async ({ panel }) => {
  await panel.goto('/limits');
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Limits');
  await expect(panel.getByTestId('stale')).toHaveCount(0);
  await panel.route('**/v1/limits*', (route) => route.abort());
  await expect(panel.getByTestId('stale')).toHaveText(/^\d+ s old$/);
  await expect(panel.getByRole('status').filter({ hasText: 'the platform does not answer' })).toBeVisible();
  await panel.unroute('**/v1/limits*');
  await expect(panel.getByTestId('stale')).toHaveCount(0);
});

test('all of it is reached by keyboard', async ({ panel, request }) => {
  const { id: account } = await make(request, '/v1/accounts', { name: 'first' });
  await make(request, '/v1/users', { name: 'dora', account });
  const keys = panel.keyboard;
  const heading = panel.getByRole('heading', { level: 1 });
  await panel.goto('/users');
  await expect(heading).toHaveText('Users');
  await keys.press('Tab');
  await expect(panel.getByRole('link', { name: 'Skip to the page' })).toBeFocused();
  await keys.press('Enter');
  await expect(panel.getByRole('main')).toBeFocused();
  await keys.press('/');
  await expect(panel.getByRole('textbox', { name: 'Name', exact: true })).toBeFocused();
  await keys.type('dora');
  await keys.press('Enter');
  await expect(panel.getByText('1 shown')).toBeVisible();
  await panel.getByRole('textbox', { name: 'Name', exact: true }).blur();
  await keys.press('j');
  await keys.press('Enter');
  await expect(heading).toHaveText('User dora');

  // Keys work after a click on a link, too, which has the focus then.
  await panel.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Users' }).click();
  await expect(heading).toHaveText('Users');
  await keys.press('j');
  await expect(panel.locator('tr[aria-selected="true"]')).toHaveCount(1);

  await keys.press('Control+k');
  await expect(panel.getByLabel('Search everywhere')).toBeFocused();
  await keys.type('simul');
  await keys.press('Enter');
  await expect(heading).toHaveText('Route simulator');
  await keys.press('Control+k');
  await expect(panel.getByLabel('Search everywhere')).toBeFocused();
  await keys.type('dora');
  await expect(panel.getByRole('button', { name: 'dora user' })).toBeVisible();
  await keys.press('Escape');
  await expect(panel.getByLabel('Search everywhere')).toHaveCount(0);
});
