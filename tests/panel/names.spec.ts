import { fill, paths } from './pages';
import { expect, test } from './platform';

test('every control has a name that can be read out', async ({ panel, request }) => {
  test.setTimeout(170_000);
  const one = await fill(request);
  for (const path of [...paths, one]) {
    await panel.goto(path);
    await expect(panel.getByRole('heading', { level: 1 })).toBeVisible();
    await expect(panel.getByLabel('loading')).toHaveCount(0);
    const nameless = await panel.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>('button, a[href], input, select, textarea')]
        .filter((control) => control.offsetParent !== null)
        .filter((control) => {
          const labels = (control as HTMLInputElement).labels;
          const named =
            control.getAttribute('aria-label') ?? control.getAttribute('aria-labelledby');
          return !named && !labels?.length && !control.textContent?.trim();
        })
        .map((control) => control.outerHTML.slice(0, 200)),
    );
    expect(nameless, path).toEqual([]);
  }
});
