import { findings, settle } from './access';
import { fill, paths } from './pages';
import { expect, make, test } from './platform';

test('every page can be read in the dark', async ({ panel, request }) => {
  test.setTimeout(400_000);
  const one = await fill(request);
  await panel.emulateMedia({ colorScheme: 'dark' });
  const wrong: string[] = [];
  for (const path of [...paths, one]) {
    await panel.goto(path);
    await settle(panel);
    wrong.push(...(await findings(panel, 'contrast')).map((text) => `${path} ${text}`));
  }
  expect(wrong).toEqual([]);
});

test('what opens can be used and read, too, in both colours', async ({ panel, page, request }) => {
  const { id } = await make(request, '/v1/carriers', { name: 'of the dialog' });
  const one = `/carriers/${id}`;
  for (const colorScheme of ['light', 'dark'] as const) {
    await panel.emulateMedia({ colorScheme });
    await panel.goto(one);
    await settle(panel);
    await panel.getByRole('button', { name: 'As CLI / curl' }).click();
    await panel.getByRole('button', { name: 'Delete' }).click();
    await expect(panel.getByRole('dialog')).toBeVisible();
    expect(await findings(panel, 'all'), colorScheme).toEqual([]);
    await panel.keyboard.press('Escape');
    await panel.keyboard.press('Control+k');
    await expect(panel.getByLabel('Search everywhere')).toBeVisible();
    expect(await findings(panel, 'all'), `search, ${colorScheme}`).toEqual([]);
    await panel.keyboard.press('Escape');
    await panel.getByRole('button', { name: 'Your session' }).click();
    await expect(panel.getByRole('menuitem', { name: 'Sign out' })).toBeVisible();
    // The library's menu has an element that takes the focus between itself and its entries.
    expect(await findings(panel, 'contrast'), `menu, ${colorScheme}`).toEqual([]);
    await panel.keyboard.press('Escape');
  }
  await page.context().clearCookies();
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await page.goto('/');
    await expect(page.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible();
    expect(await findings(page, 'all'), `sign in, ${colorScheme}`).toEqual([]);
  }
});
