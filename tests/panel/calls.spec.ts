import { readFileSync } from 'node:fs';
import { expect, picture, tellPhone, test } from './platform';

test('a call appears, shows its legs and its route, and is hung up', async ({
  panel,
}) => {
  await panel.goto('/calls');
  await expect(panel.getByText('No call is in progress.')).toBeVisible();
  tellPhone('dial');
  const row = panel.getByRole('row').filter({ hasText: 'alice' });
  await expect(row).toContainText('answered');
  await expect(row).toContainText('600');
  // By the keyboard, as in a terminal.
  await panel.keyboard.press('j');
  await panel.keyboard.press('Enter');
  await expect(panel.getByRole('heading', { name: 'alice → 600' })).toBeVisible();
  await expect(panel.getByLabel('Leg of the caller', { exact: true })).toContainText('udp:127.0.0.1:');
  await expect(panel.getByLabel('Routing explanation')).toContainText('the caller is user alice');
  // Its messages, as they were on the wire.
  const ladder = panel.getByRole('region', { name: 'Ladder of messages' });
  await expect(ladder).toContainText('200 OK');
  await ladder.getByRole('button', { name: /^INVITE/ }).first().click();
  await expect(panel.getByTestId('message')).toContainText('INVITE sip:600@');
  await picture(panel, 'ladder');
  const desk = panel.viewportSize() ?? { width: 1440, height: 900 };
  await panel.setViewportSize({ width: 390, height: 844 });
  await panel.emulateMedia({ colorScheme: 'dark' });
  await panel.getByTestId('message').scrollIntoViewIfNeeded();
  await picture(panel, 'ladder-phone');
  await panel.setViewportSize(desk);
  await panel.emulateMedia({ colorScheme: null });
  await panel.getByRole('button', { name: 'Hang up alice → 600' }).click();
  await panel.getByRole('dialog').getByRole('button', { name: 'Hang up' }).click();
  await expect(panel.getByTestId('why')).toContainText(
    /Answered, and ended after .* by the platform/,
  );
  await expect(panel.getByLabel('Media from the caller', { exact: true })).toContainText('PCM');
  await panel.goto('/calls');
  await expect(panel.getByText('No call is in progress.')).toBeVisible();
});

test('a call that ends by itself leaves the list, and its record says why', async ({ panel }) => {
  await panel.goto('/calls');
  tellPhone('dial');
  await expect(panel.getByRole('row').filter({ hasText: 'alice' })).toBeVisible();
  tellPhone('hang up');
  await expect(panel.getByText('No call is in progress.')).toBeVisible();
  await panel.goto('/cdrs?outcome=answered');
  await panel.getByRole('row').filter({ hasText: 'alice' }).first().click();
  await expect(panel.getByTestId('why')).toContainText('by the caller');
});

test('what the filters let through is written to a file, with the columns that are shown', async ({
  panel,
}) => {
  await panel.goto('/cdrs?caller=alice');
  await panel.getByRole('button', { name: 'CSV' }).click();
  await panel.getByRole('button', { name: 'Write a file' }).click();
  const file = panel.getByRole('region', { name: /^export of/ }).first();
  await expect(file).toContainText('done');
  await picture(panel, 'exports');
  const arrival = panel.waitForEvent('download');
  await file.getByRole('link', { name: 'download' }).click();
  const path = await (await arrival).path();
  const lines = readFileSync(path, 'utf8').trimEnd().split('\r\n');
  expect(lines[0]).toBe('call,start_us,caller,called,outcome,status,talk_us,ring_us,a_mos_centi,b_mos_centi,reason');
  expect(lines.length).toBeGreaterThan(1);
  for (const line of lines.slice(1)) expect(line.split(',')[2]).toBe('alice');
  await file.getByRole('button', { name: /^remove/ }).click();
  await expect(file).toHaveCount(0);
});

test('ten thousand calls are listed, and only those in sight are drawn', async ({ panel }) => {
  const pages = 20;
  let asked = '';
  await panel.route('**/v1/calls?*', async (route) => {
    const query = new URL(route.request().url()).searchParams;
    asked = query.get('caller') ?? '';
    const page = Number(query.get('cursor') ?? 0);
    const next_cursor = page + 1 < pages ? String(page + 1) : null;
    await route.fulfill({ json: { items: callsOf(page), next_cursor, total: 10_000, unheard: [] } });
  });
  await panel.goto('/calls');
  const table = panel.getByRole('group', { name: 'Live calls' });
  await expect(async () => {
    await table.evaluate((box) => box.scrollTo(0, box.scrollHeight));
    await expect(panel.getByText('10000 shown')).toBeVisible({ timeout: 200 });
  }).toPass();
  expect(await panel.getByRole('row').count()).toBeLessThan(100);
  // Filters are the platform's affair.
  await panel.keyboard.press('/');
  await panel.keyboard.type('+4930');
  await expect.poll(() => asked).toBe('+4930');
  await expect(panel).toHaveURL(/caller=%2B4930/);
});

/** 500 calls as the platform would list them. */
function callsOf(page: number) {
  return Array.from({ length: 500 }, (_, index) => ({
    id: `call_${page}_${index}`,
    state: 'answered',
    caller: `+4930${page * 500 + index}`,
    called: '600',
    start_us: 1_795_000_000_000_000,
    answer_us: 1_795_000_001_000_000,
    explanation: [],
    legs: [],
    server: null,
    server_name: 'one',
  }));
}

test('a search that takes long says how far it came, goes on a while, and then asks', async ({
  panel,
}) => {
  const endUs = 1_795_000_000_000_000;
  const pages = 30;
  await panel.route('**/v1/cdrs?*', async (route) => {
    const page = Number(new URL(route.request().url()).searchParams.get('cursor') ?? 0);
    const complete = page >= pages;
    const searched_until_us = complete ? null : endUs - page * 3_600_000_000;
    const next_cursor = complete ? null : String(page + 1);
    await route.fulfill({ json: { items: [], next_cursor, complete, searched_until_us } });
  });
  await panel.goto('/cdrs?outcome=failed');
  const status = panel.getByRole('status').filter({ hasText: 'Searched back to' });
  await expect(panel.getByText('Nothing found yet.')).toBeVisible();
  await status.getByRole('button', { name: 'Search on' }).click();
  await expect(panel.getByText('Nothing matches the filters.')).toBeVisible();
  await expect(status).toBeHidden();
});

test('a search that is refused asks no more by itself, and goes on when somebody says so', async ({
  panel,
}) => {
  let refuses = true;
  await panel.route('**/v1/cdrs?*', async (route) => {
    const page = Number(new URL(route.request().url()).searchParams.get('cursor') ?? 0);
    if (page === 2 && refuses) {
      const json = { type: 'about:blank', title: 'Not now', status: 503, detail: 'no answer in 10 s' };
      await route.fulfill({ status: 503, contentType: 'application/problem+json', json });
      return;
    }
    const complete = page >= 4;
    const searched_until_us = complete ? null : 1_795_000_000_000_000 - page * 3_600_000_000;
    const next_cursor = complete ? null : String(page + 1);
    await route.fulfill({ json: { items: [], next_cursor, complete, searched_until_us } });
  });
  await panel.goto('/cdrs?outcome=failed');
  const status = panel.getByRole('status').filter({ hasText: 'Searched back to' });
  const searchOn = status.getByRole('button', { name: 'Search on' });
  await expect(searchOn).toBeVisible();
  await expect(panel.getByText('no answer in 10 s')).toBeVisible();
  refuses = false;
  await searchOn.click();
  await expect(panel.getByText('Nothing matches the filters.')).toBeVisible();
  await expect(status).toBeHidden();
});
