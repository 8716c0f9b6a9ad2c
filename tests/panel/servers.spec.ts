import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { directory, expect, make, tellPhone, test } from './platform';

test('a machine joins, is resized under load, and drained with a count-down', async ({ panel }) => {
  test.setTimeout(165_000);
  await panel.setViewportSize({ width: 1440, height: 900 });
  await make(panel.request, '/v1/zones', { name: 'Germany' });
  await panel.goto('/servers');
  await panel.getByRole('button', { name: 'Join a machine' }).click();
  await panel.getByLabel('Name', { exact: true }).fill('berlin');
  await panel.getByRole('combobox', { name: 'Zone' }).click();
  await panel.getByRole('option', { name: 'Germany' }).click();
  await panel.getByRole('button', { name: 'Create token' }).click();
  const command = await panel.getByLabel('command', { exact: true }).innerText();
  expect(command).toMatch(/^tandem node join 127\.0\.0\.1:\d+ tdj\./);
  await expect(panel.getByText('It has not joined yet.')).toBeVisible();
  await panel.screenshot({ path: join(directory, 'join.png') });
  writeFileSync(join(directory, 'token'), command.split(' ').at(-1) ?? '');
  tellPhone('join');
  await expect(panel.getByText('berlin has joined: it takes calls.')).toBeVisible({
    timeout: 30_000,
  });

  // The list has live figures, and its filters are in the URL.
  await panel.goto('/servers?zone=Germany');
  const row = panel.getByRole('row').filter({ hasText: 'berlin' });
  await expect(row).toContainText('up');
  await expect(panel.getByText('1 shown')).toBeVisible();
  tellPhone('call');
  await expect(row).toContainText('20 · peak', { timeout: 20_000 });
  await panel.screenshot({ path: join(directory, 'servers.png') });
  // The overview speaks of all servers, not of the one that serves it.
  await panel.goto('/');
  const verdict = panel.getByTestId('verdict');
  await expect(verdict).toContainText('2 servers take calls; 20 calls in progress;');
  await panel.screenshot({ path: join(directory, 'overview.png') });
  await panel.goto('/servers?zone=Germany');
  await row.click();
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText(/berlin/);

  const now = panel.getByRole('region', { name: 'Now' });
  await now.getByLabel('Allowed channels').fill('1000');
  await now.getByRole('button', { name: 'Resize' }).click();
  await expect(now).toContainText(/of 1,000/);
  await now.getByLabel('Allowed channels').fill('1001');
  await now.getByRole('button', { name: 'Resize' }).click();
  await expect(now).toContainText(/20 of 1,001/);

  await now.getByRole('button', { name: 'Drain' }).click();
  const dialog = panel.getByRole('dialog');
  await expect(dialog).toContainText(/The \d+ calls that it has go on to their end/);
  await dialog.getByRole('button', { name: 'Drain' }).click();
  const drain = panel.getByRole('region', { name: 'drain berlin' });
  await expect(drain.getByRole('status')).toContainText(/\d+ calls? left/);
  await panel.screenshot({ path: join(directory, 'draining.png'), fullPage: true });

  // Its calls are listed here and among all; one of them is opened and ended at control.
  const serverPage = panel.url();
  await panel.getByRole('link', { name: 'All 20 calls of this server' }).click();
  await expect(panel.getByTestId('total')).toContainText('20 calls');
  await expect(panel).toHaveURL(/calls\?server=srv_/);
  await panel.getByRole('row').filter({ hasText: 'berlin' }).first().click();
  await expect(panel.getByLabel('Call', { exact: true })).toContainText('berlin');
  const ladder = panel.getByRole('region', { name: 'Ladder of messages' });
  await ladder.getByRole('button', { name: /^INVITE/ }).first().click();
  await expect(panel.getByTestId('message')).toContainText('INVITE sip:493012345@');
  await panel.screenshot({ path: join(directory, 'call-elsewhere.png') });
  await panel.getByRole('button', { name: /^Hang up/ }).click();
  await panel.getByRole('dialog').getByRole('button', { name: 'Hang up' }).click();
  await expect(panel.getByTestId('why')).toContainText('by the platform', { timeout: 20_000 });
  await panel.goto(serverPage);
  await expect(panel.getByRole('link', { name: 'All 19 calls of this server' })).toBeVisible();
  const events = panel.getByRole('table', { name: 'Events of this server' });
  await expect(events).toContainText('call.ended', { timeout: 20_000 });
  await panel.screenshot({ path: join(directory, 'server-calls.png'), fullPage: true });
  tellPhone('hang up');
  await expect(drain).toContainText('no call is left', { timeout: 30_000 });
  await expect(now).toContainText('drained');
  await panel.setViewportSize({ width: 390, height: 844 });
  await panel.screenshot({ path: join(directory, 'server-phone.png'), fullPage: true });
  await panel.goto('/');
  await expect(verdict).toContainText('1 of 2 servers take calls; 0 calls in progress;');
  await panel.goto('/servers');
  await expect(row).toContainText('drained');
  await panel.screenshot({ path: join(directory, 'servers-phone.png') });
  await panel.goto(`/servers`);
  await row.click();
  await panel.getByRole('button', { name: 'Take calls again' }).click();
  await expect(now).toContainText('it takes calls');
});
