import { findings, settle } from './access';
import { fill, paths } from './pages';
import { expect, test } from './platform';

test('every page can be used by who does not see it', async ({ panel, request }) => {
  test.setTimeout(400_000);
  const one = await fill(request);
  const wrong: string[] = [];
  for (const path of [...paths, one]) {
    await panel.goto(path);
    await settle(panel);
    wrong.push(...(await findings(panel, 'all')).map((text) => `${path} ${text}`));
  }
  expect(wrong).toEqual([]);
});
