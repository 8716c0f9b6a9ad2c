import { fill, lookAt, paths } from './pages';
import { test } from './platform';

test('each page is whole on a phone', async ({ panel, request }) => {
  test.setTimeout(170_000);
  const one = await fill(request);
  await panel.setViewportSize({ width: 390, height: 844 });
  await lookAt(panel, [...paths, one]);
});
