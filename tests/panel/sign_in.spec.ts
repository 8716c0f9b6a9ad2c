import { test } from '@playwright/test';
import { expect, token, watch } from './platform';

test('a wrong token is refused, the right one opens the panel, and signing out closes it', async ({
  page,
  baseURL,
}) => {
  const wrong = watch(page, baseURL ?? '');
  await page.goto('/cdrs?caller=alice');
  await page.getByLabel('Token *', { exact: true }).fill('tdm_wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByText('the token is not known')).toBeVisible();
  await page.getByLabel('Token *', { exact: true }).fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  // It opens where it was to.
  await expect(page.getByRole('heading', { name: 'CDRs' })).toBeVisible();
  await expect(page.getByRole('textbox', { name: 'Caller', exact: true })).toHaveValue('alice');
  await page.reload();
  await expect(page.getByRole('heading', { name: 'CDRs' })).toBeVisible();
  await page.getByRole('button', { name: 'Your session' }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
  await page.reload();
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
  expect(wrong).toEqual([]);
});
