// How long pages of the panel take from the click on a link to them until they are painted and
// until they show what they are about; milliseconds, one line of JSON for each page.
import { chromium } from '@playwright/test';

const rounds = 5;
const pages = { '/': 'main h1', '/servers': 'tbody tr', '/calls': 'tbody tr', '/cdrs': 'tbody tr' };
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
});
const context = await browser.newContext({
  baseURL: process.env.PANEL_URL,
  viewport: { width: 1440, height: 900 },
});
await context.request.post('/v1/session', { data: { token: process.env.PANEL_TOKEN } });
for (const [path, content] of Object.entries(pages)) {
  const paints = [];
  const fills = [];
  for (let round = 0; round < rounds; round += 1) {
    const page = await context.newPage();
    await page.goto(path, { waitUntil: 'commit' });
    const filled = await page.waitForFunction(
      (selector) => document.querySelector(selector) !== null && performance.now(),
      content,
      { timeout: 30_000 },
    );
    fills.push(await filled.jsonValue());
    const paint = await page.waitForFunction(
      () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
    );
    paints.push(await paint.jsonValue());
    await page.close();
  }
  console.log(JSON.stringify({ path, paints, fills }));
}
await browser.close();
