import { fill, lookAt, paths } from './pages';
import { expect, test } from './platform';

test('each page is whole on a desk', async ({ panel, request }) => {
  test.setTimeout(170_000);
  const one = await fill(request);
  await panel.setViewportSize({ width: 1440, height: 900 });
  await panel.goto('/');
  // Nobody has tried them: that is neither up nor down.
  await expect(panel.getByTestId('verdict')).toContainText('2 gateways not known yet');
  await lookAt(panel, [...paths, one]);
});
