import { test } from '@playwright/test';
import { expect, picture } from './platform';

test('the provider signs in, signing out here says that it goes on there, and a refusal says why', async ({
  page,
  baseURL,
}) => {
  // Another site than the provider, which is at 127.0.0.1.
  const panel = (baseURL ?? '').replace('127.0.0.1', 'localhost');
  await page.goto(`${panel}/calls`);
  const begin = page.getByRole('link', { name: 'Sign in with Example' });
  await expect(begin).toBeVisible();
  await picture(page, 'sign-in-by-provider');
  await begin.click();
  // It opens where it was to, and stays open.
  await expect(page.getByRole('heading', { name: 'Live calls' })).toBeVisible();
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Live calls' })).toBeVisible();
  await page.goto(`${panel}/people`);
  await expect(page.getByRole('heading', { name: 'People is not open to you' })).toBeVisible();
  await expect(page.getByRole('main').getByRole('link', { name: 'Live calls' })).toBeVisible();
  await picture(page, 'not-open');

  await page.getByRole('button', { name: 'Your session' }).click();
  await expect(page.getByText('ann, operator', { exact: true })).toBeVisible();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await expect(page.getByRole('link', { name: 'Sign out there, too' })).toBeVisible();

  // A browser that the provider does not know yet, and that it does not let in.
  await page.context().clearCookies();
  await page.goto(`${panel}/?refused=no-role`);
  await expect(page.getByRole('alert')).toContainText('None of your groups');
  await picture(page, 'refused-by-provider');
});
