import { join } from 'node:path';
import { directory, expect, make, test } from './platform';

test('changes are prepared in a draft, looked at, applied and rolled back', async ({ panel }) => {
  await panel.setViewportSize({ width: 1440, height: 900 });
  await panel.goto('/carriers');
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Carriers');
  await make(panel.request, '/v1/carriers', { name: 'drafted-from' });

  await panel.goto('/drafts');
  await panel.getByRole('button', { name: 'New draft' }).click();
  await panel.getByRole('dialog').getByLabel('Name').fill('spring');
  await panel.getByRole('button', { name: 'Begin draft' }).click();
  const banner = panel.getByRole('status', { name: 'draft', exact: true });
  await expect(banner).toContainText('You work in the draft spring');
  await expect(panel.getByText('Nothing is changed in it yet')).toBeVisible();

  // A carrier is changed on its own page, and is what it was for everybody else.
  await panel.goto('/carriers');
  await panel.getByRole('link', { name: 'drafted-from' }).first().click();
  await panel.getByRole('textbox', { name: 'Name' }).fill('drafted-to');
  await panel.getByRole('button', { name: 'Save' }).click();
  await expect(panel.getByRole('heading', { level: 1 })).toContainText('drafted-to');
  const names = async () => {
    const answer = await panel.request.get('/v1/carriers');
    const { items } = (await answer.json()) as { items: { name: string }[] };
    return items.map(({ name }) => name);
  };
  expect(await names()).toContain('drafted-from');
  await banner.getByRole('link', { name: 'spring' }).click();
  const change = panel.getByRole('region', { name: /carriers: drafted-to/ });
  await expect(change).toContainText('"drafted-from"');
  await panel.getByRole('button', { name: 'Replay past calls' }).click();
  const replayed = panel.getByRole('region', { name: 'What would become of past calls' });
  await expect(replayed).toContainText('As before');
  await panel.screenshot({ path: join(directory, 'draft.png') });

  const dialog = panel.getByRole('dialog');
  await panel.getByRole('button', { name: 'Apply', exact: true }).click();
  await dialog.getByRole('button', { name: 'Apply', exact: true }).click();
  await expect(panel.getByText('in force', { exact: true })).toBeVisible();
  await expect(banner).toHaveCount(0);
  expect(await names()).toContain('drafted-to');
  await panel.getByRole('button', { name: 'Roll back' }).click();
  await dialog.getByRole('button', { name: 'Roll back' }).click();
  await expect(panel.getByText('rolled back', { exact: true })).toBeVisible();
  expect(await names()).toContain('drafted-from');

  await panel.setViewportSize({ width: 390, height: 844 });
  await panel.reload();
  await expect(panel.getByRole('region', { name: /carriers: drafted/ })).toBeVisible();
  const width = await panel.evaluate(() => document.documentElement.scrollWidth);
  expect(width).toBeLessThanOrEqual(390);
  await panel.screenshot({ path: join(directory, 'draft-phone.png') });
  await panel.getByRole('button', { name: 'Forget' }).click();
  await dialog.getByRole('button', { name: 'Forget' }).click();
  await expect(panel.getByRole('heading', { level: 1 })).toHaveText('Drafts');
});
