import { test as base, expect, type APIRequestContext, type Page } from '@playwright/test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const token = process.env.PANEL_TOKEN ?? '';

/** Where wishes to the phone are put, and pictures of pages. */
const directory = process.env.PANEL_DIRECTORY ?? '.';

/**
 * A page of somebody who is signed in. It fails a test in which the browser asked another host for
 * anything, or refused something because of the policy of the page.
 */
export const test = base.extend<{ panel: Page }>({
  panel: async ({ page, baseURL }, use) => {
    const wrong = watch(page, baseURL ?? '');
    await page.request.post('/v1/session', { data: { token } });
    await use(page);
    expect(wrong).toEqual([]);
  },
});

/** What goes wrong on a page, as it does. */
export function watch(page: Page, baseURL: string): string[] {
  const wrong: string[] = [];
  page.on('request', (request) => {
    if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(baseURL)) {
      wrong.push(`a request to ${request.url()}`);
    }
  });
  page.on('pageerror', (error) => wrong.push(`an exception: ${error.message}`));
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) wrong.push(message.text());
  });
  return wrong;
}

/** Asks the phone of the test to do something: `dial` or `hang up`. */
export function tellPhone(wish: string): void {
  writeFileSync(join(directory, `wish ${wish}`), '');
}

/** Keeps a picture of a page, for people to look at. */
export async function picture(page: Page, name: string): Promise<void> {
  const shots = join(directory, 'screenshots');
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`) });
}

/** Makes a record as a script would; its body. */
export async function make(request: APIRequestContext, path: string, data: object) {
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await request.post(path, { data, headers });
  expect(answer.status(), await answer.text()).toBe(201);
  return (await answer.json()) as { id: string };
}

export { expect, token, directory };
