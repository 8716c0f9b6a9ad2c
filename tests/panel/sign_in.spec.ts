import { test, type Page } from '@playwright/test';
import { createHmac } from 'node:crypto';
import { expect, picture, token, watch } from './platform';

test('a wrong token is refused, the right one opens the panel, and signing out closes it', async ({
  page,
  baseURL,
}) => {
  const wrong = watch(page, baseURL ?? '');
  await page.goto('/cdrs?caller=alice');
  await page.getByRole('button', { name: 'Sign in with a token' }).click();
  await page.getByLabel('Token *', { exact: true }).fill('tdm_wrong');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByText('the token is not known')).toBeVisible();
  await page.getByLabel('Token *', { exact: true }).fill(token);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  // It opens where it was to.
  await expect(page.getByRole('heading', { name: 'CDRs' })).toBeVisible();
  await expect(page.getByRole('textbox', { name: 'Caller', exact: true })).toHaveValue('alice');
  await page.reload();
  await expect(page.getByRole('heading', { name: 'CDRs' })).toBeVisible();
  await page.getByRole('button', { name: 'Your session' }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await expect(page.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible();
  await page.reload();
  await expect(page.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible();
  expect(wrong).toEqual([]);
});

test('a name and a password open the panel, and with a second factor a code besides', async ({
  page,
  baseURL,
}) => {
  const wrong = watch(page, baseURL ?? '');
  await page.goto('/');
  await picture(page, 'sign-in');
  await signIn(page, 'not the password');
  await expect(page.getByText('the name or password is not right')).toBeVisible();
  await signIn(page, password);
  await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible();
  await page.getByRole('button', { name: 'Your session' }).click();
  await page.getByRole('menuitem', { name: 'Your account' }).click();
  await expect(page.getByRole('table', { name: 'Sessions' })).toContainText('admin (this one)');

  await page.getByRole('button', { name: 'Set up a second factor' }).click();
  await expect(page.getByRole('img', { name: 'QR code of the key' })).toBeVisible();
  await picture(page, 'second-factor');
  const key = await page.getByTestId('key').innerText();
  await page.getByLabel('Code that the app shows').fill(codeOf(key, 0));
  await page.getByRole('button', { name: 'Set up', exact: true }).click();
  const codes = (await page.getByTestId('recovery-codes').innerText()).split('\n');
  expect(codes).toHaveLength(10);
  await picture(page, 'recovery-codes');
  await page.getByRole('button', { name: 'I have them' }).click();
  await expect(page.getByText('You have one since')).toBeVisible();
  await leave(page);

  // The code of the next half minute: that of this one was used to set it up.
  await signIn(page, password);
  await page.getByLabel('Code').fill(codeOf(key, 1));
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'Your account' })).toBeVisible();
  await leave(page);
  await signIn(page, password);
  await page.getByLabel('Code').fill(codes[0] ?? '');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'Your account' })).toBeVisible();

  // Somebody for one account finds that account, and no page of the platform.
  await page.goto('/people/new');
  const form = page.getByRole('form', { name: 'Create person' });
  await form.getByLabel('Name *', { exact: true }).fill('clerk');
  await form.getByRole('combobox', { name: 'Account' }).click();
  await page.getByRole('option', { name: 'Default' }).click();
  await form.getByLabel('Password', { exact: true }).fill('a clerk of ours');
  await form.getByRole('button', { name: 'Create person' }).click();
  await expect(page.getByRole('heading', { name: 'Person clerk' })).toBeVisible();
  await picture(page, 'person');
  await leave(page);
  await signIn(page, 'a clerk of ours', 'clerk');
  await expect(page.getByRole('navigation', { name: 'Pages' })).toBeVisible();
  await page.goto('/users');
  await expect(page.getByRole('table', { name: 'Users' })).toContainText('alice');
  const pages = page.getByRole('navigation', { name: 'Pages' });
  await expect(pages.getByRole('link', { name: 'CDRs' })).toBeVisible();
  for (const closed of ['Settings', 'Gateways', 'Audit log', 'People']) {
    await expect(pages.getByRole('link', { name: closed })).toHaveCount(0);
  }
  await expect(page.getByRole('button', { name: 'New user' })).toHaveCount(0);
  await picture(page, 'clerk');
  expect(wrong).toEqual([]);
});

const password = process.env.PANEL_PASSWORD ?? '';

async function signIn(page: Page, shown: string, name = 'admin') {
  await page.getByRole('textbox', { name: 'Name' }).fill(name);
  await page.getByLabel('Password *', { exact: true }).fill(shown);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

async function leave(page: Page) {
  await page.getByRole('button', { name: 'Your session' }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await expect(page.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible();
}

/** What an authenticator app shows (RFC 6238), so many half minutes from now. */
function codeOf(key: string, ahead: number): string {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...key].map((c) => digits.indexOf(c).toString(2).padStart(5, '0')).join('');
  const secret = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const mac = createHmac('sha1', secret).update(counter).digest();
  const place = (mac[19] ?? 0) & 0xf;
  return String((mac.readUInt32BE(place) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}
