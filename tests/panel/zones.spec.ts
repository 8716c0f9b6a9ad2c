import { expect, picture, test } from './platform';

test('zones and clusters are made by keyboard, filled, measured, shown on a map and renamed', async ({
  panel,
}) => {
  test.setTimeout(165_000);
  const name = panel.getByRole('textbox', { name: 'Name', exact: true });
  const keys = panel.keyboard;
  /** Types into the fields of a new zone, one after the other, and hands it in. */
  const make = async (...fields: string[]) => {
    await name.focus();
    for (const [index, field] of fields.entries()) {
      if (index > 0) await keys.press('Tab');
      await keys.press('Control+a');
      await keys.type(field);
    }
    await keys.press('Enter');
  };

  await panel.goto('/zones');
  await expect(panel.getByText('No zone: all servers stand in one place.')).toBeVisible();
  await panel.getByRole('button', { name: 'New zone' }).focus();
  await keys.press('Enter');
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('New zone');
  await make('Berlin', '52.52', '13.4');
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Zone Berlin');

  // A name is had once, and the field says so.
  await panel.goto('/zones/new');
  await make('Berlin');
  await expect(panel.getByText(/is taken by/)).toBeVisible();
  await expect(name).toHaveAttribute('aria-invalid', 'true');
  await make('Bonn', '50.73', '7.1');
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Zone Bonn');

  // The machine that has joined moves in, by keyboard; the form says how a script does it.
  const servers = panel.getByRole('region', { name: 'Servers' }).first();
  await panel.getByRole('combobox', { name: 'Move into Bonn' }).focus();
  await keys.type('bonn');
  await expect(panel.getByRole('option', { name: 'bonn' })).toBeVisible();
  await keys.press('ArrowDown');
  await keys.press('Enter');
  await servers.getByRole('button', { name: 'As CLI / curl' }).click();
  await expect(servers.getByText(/tandem api PATCH '\/v1\/servers\/srv_/)).toBeVisible();
  await panel.getByRole('button', { name: 'Move', exact: true }).focus();
  await keys.press('Enter');
  await expect(servers.getByRole('row').filter({ hasText: 'bonn' })).toBeVisible();
  await expect(panel.getByTestId('headroom')).toBeVisible();

  // Rows are links.
  await panel.goto('/zones');
  const zones = panel.getByRole('table', { name: 'Zones' });
  await expect(zones.getByRole('row').filter({ hasText: 'Bonn' })).toContainText('1 of 1');
  await zones.getByRole('link', { name: 'Berlin' }).focus();
  await keys.press('Enter');
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Zone Berlin');
  await panel.getByRole('combobox', { name: 'Move into Berlin' }).click();
  await expect(panel.getByRole('option', { name: 'bonn (now in Bonn)' })).toBeVisible();
  await panel.getByRole('option').filter({ hasNotText: 'now in' }).click();
  await panel.getByRole('button', { name: 'Move', exact: true }).click();
  await expect(servers.getByRole('row')).toHaveCount(2);

  await name.fill('Berlin East');
  await keys.press('Enter');
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Zone Berlin East');
  await expect(servers.getByRole('row')).toHaveCount(2);

  // A cluster, and what its name must not be.
  await panel.goto('/clusters/new');
  await make('north');
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Cluster north');
  await panel.goto('/clusters/new');
  await make('north');
  await expect(panel.getByText(/is taken by/)).toBeVisible();

  // Both ways are measured, under the names that zones have now.
  await panel.goto('/zones');
  const latency = panel.getByRole('table', { name: 'Latency between zones' });
  for (const from of ['Berlin East', 'Bonn']) {
    const row = latency.getByRole('row').filter({ has: panel.getByRole('rowheader', { name: from }) });
    await expect(row).toContainText(/SIP \d+(\.\d+)? ms/, { timeout: 60_000 });
  }
  await expect(panel.getByRole('table', { name: 'Clusters' })).toContainText('north');
  await picture(panel, 'zones');

  // On a phone the two are near each other: their names stand apart, and are large enough to read.
  await panel.setViewportSize({ width: 390, height: 844 });
  const map = panel.getByRole('group', { name: /^Map of zones: .*Berlin East/ });
  await map.scrollIntoViewIfNeeded();
  const names = map.locator('text');
  await expect(names).toHaveCount(2);
  await picture(panel, 'zones-phone');
  const boxes = await names.evaluateAll((all) => all.map((one) => one.getBoundingClientRect()));
  const [one, other] = boxes;
  if (!one || !other) throw new Error('two names');
  const apart =
    one.right <= other.left ||
    other.right <= one.left ||
    one.bottom <= other.top ||
    other.bottom <= one.top;
  expect(apart, JSON.stringify(boxes)).toBe(true);
  expect(Math.min(one.height, other.height)).toBeGreaterThan(10);
  const beyond = await panel.evaluate(
    () => document.documentElement.scrollWidth - window.innerWidth,
  );
  expect(beyond).toBeLessThanOrEqual(0);
  await map.getByRole('link', { name: /^Bonn:/ }).click();
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Zone Bonn');
});
