import { join } from 'node:path';
import { directory, expect, tellPhone, test } from './platform';

test('a dispatcher is seen, one of its targets drained and weighed with calls up', async ({ panel }) => {
  test.setTimeout(165_000);
  await panel.setViewportSize({ width: 1440, height: 900 });
  await panel.goto('/dispatchers');
  const edge = panel.getByRole('region', { name: 'edge', exact: true });
  await expect(edge).toContainText('2 of 2 targets take calls', { timeout: 30_000 });
  const row = (name: string) => edge.getByRole('row').filter({ hasText: name });
  tellPhone('call');
  await expect(row('amsterdam')).toContainText('10', { timeout: 30_000 });
  await panel.screenshot({ path: join(directory, 'dispatchers.png') });

  await edge.getByRole('button', { name: 'Drain amsterdam' }).click();
  const dialog = panel.getByRole('dialog');
  await expect(dialog).toContainText('The 10 calls that it has go on to their end.');
  await dialog.getByRole('button', { name: 'Drain' }).click();
  await expect(row('amsterdam')).toContainText('draining', { timeout: 20_000 });
  await expect(edge).toContainText('those that control has');
  await edge.getByRole('button', { name: 'Weight of berlin' }).click();
  await panel.getByRole('textbox', { name: 'Weight' }).fill('7');
  await panel.getByRole('button', { name: 'Set weight' }).click();
  await expect(row('berlin')).toContainText('7', { timeout: 20_000 });
  await panel.screenshot({ path: join(directory, 'target-draining.png') });

  // One more, with calls up; a wrong address is refused, one that nobody answers at is seen to be down.
  await edge.getByRole('button', { name: 'Add a target' }).click();
  const form = panel.getByRole('dialog');
  await form.getByLabel('Name').fill('cairo');
  await form.getByLabel('Address').fill('10.0.0.3');
  await form.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(form.getByRole('alert')).toContainText('udp:');
  await form.getByLabel('Address').fill('udp:127.0.0.1:9');
  await panel.screenshot({ path: join(directory, 'target-new.png') });
  await form.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(row('cairo')).toContainText('down', { timeout: 30_000 });
  await expect(row('amsterdam')).toContainText('draining');
  await edge.getByRole('button', { name: 'Remove cairo' }).click();
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await expect(row('cairo')).toHaveCount(0, { timeout: 20_000 });

  // The page of the server has the same, the count-down and the log.
  await edge.getByRole('link', { name: 'All of edge' }).click();
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText(/edge/);
  const drain = panel.getByRole('region', { name: 'edge: drain the target amsterdam' });
  await expect(drain.getByRole('status')).toContainText(/10 calls left/);
  await expect(panel.getByRole('table', { name: 'Log of this server' })).toContainText('starting a dispatcher');
  await expect(drain).toContainText('no call is left', { timeout: 100_000 });

  // The whole of it: how many calls that concerns is said first.
  await panel.getByRole('button', { name: 'Drain', exact: true }).click();
  await expect(dialog).toContainText('It takes no new calls from then on: whoever sends it some gets 503');
  await expect(dialog).toContainText(/It has no calls|that it has go on to their end/);
  await dialog.getByRole('button', { name: 'Drain' }).click();
  const whole = panel.getByRole('region', { name: 'drain edge', exact: true });
  await expect(whole).toContainText('no call is left', { timeout: 100_000 });
  const happened = panel.getByRole('region', { name: 'Last events' });
  await expect(happened).toContainText('server.drained', { timeout: 20_000 });
  await expect(happened).toContainText('target.drained');
  await panel.getByRole('button', { name: 'Take calls again' }).click();
  await expect(panel.getByRole('button', { name: 'Drain', exact: true })).toBeVisible({ timeout: 20_000 });
  await panel.screenshot({ path: join(directory, 'dispatcher.png'), fullPage: true });

  await panel.setViewportSize({ width: 390, height: 844 });
  await panel.goto('/dispatchers');
  await expect(row('amsterdam')).toContainText('drained');
  const width = await panel.evaluate(() => document.documentElement.scrollWidth);
  expect(width).toBeLessThanOrEqual(390);
  await panel.screenshot({ path: join(directory, 'dispatchers-phone.png') });
  await edge.getByRole('button', { name: 'Resume amsterdam' }).click();
  await expect(row('amsterdam')).toContainText('up', { timeout: 20_000 });
});

test('a media server that has joined is seen and drained', async ({ panel }) => {
  await panel.setViewportSize({ width: 1440, height: 900 });
  await panel.goto('/media-servers');
  const joined = panel.getByRole('region', { name: 'Joined media servers' }).first();
  await expect(joined).toContainText('rtp-1', { timeout: 30_000 });
  await expect(joined).toContainText('mini-fs');
  await panel.screenshot({ path: join(directory, 'media-servers.png') });
  await joined.getByRole('button', { name: 'Drain rtp-1' }).click();
  const dialog = panel.getByRole('dialog');
  await expect(dialog).toContainText('0 sessions go on to the end');
  await dialog.getByRole('button', { name: 'Drain' }).click();
  await expect(joined).toContainText('drained', { timeout: 20_000 });
  await joined.getByRole('link', { name: 'rtp-1' }).click();
  const media = panel.getByRole('region', { name: 'Media', exact: true });
  await expect(media).toContainText('127.0.0.1');
  await expect(media).toContainText('none: ');
  await panel.screenshot({ path: join(directory, 'media-server.png'), fullPage: true });
  await panel.getByRole('button', { name: 'Take sessions again' }).click();
  await expect(panel.getByRole('region', { name: 'Now' })).toContainText('it takes sessions');
});
