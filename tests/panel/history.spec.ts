import { expect, make, picture, test } from './platform';

test('graphs show what was before the page was opened, and the changes of that time', async ({
  panel,
}) => {
  await make(panel.request, '/v1/carriers', { name: 'acme' });
  await panel.goto('/');
  const history = panel.getByRole('region', { name: 'History' });
  // The seven calls may have been in two minutes.
  const attempts = history.getByRole('img', { name: /^Attempts; .*highest: attempts [1-7],/ });
  await expect(attempts).toBeVisible();
  await expect(attempts).toHaveAccessibleName(/changes: .*carrier acme made/);
  await expect(history.getByRole('img', { name: /^ASR, %; .*highest: ASR 100/ })).toBeVisible();
  await expect(history.getByRole('img', { name: /^MOS; .*highest: MOS unknown/ })).toBeVisible();
  const changes = history.getByRole('region', { name: 'Changes within this time' });
  await expect(changes).toContainText('carrier acme made');
  await expect(history).toContainText('One point is a minute');
  await picture(panel, 'history');
  await history.getByText('7 d').click();
  await expect(history).toContainText('One point is 30 minutes');
  await expect(history.getByRole('img', { name: /highest: attempts 7,/ })).toBeVisible();
  await panel.setViewportSize({ width: 390, height: 844 });
  await panel.emulateMedia({ colorScheme: 'dark' });
  await attempts.scrollIntoViewIfNeeded();
  await picture(panel, 'history-phone');
});
