import { expect, picture, test } from './platform';

test('a call that a dispatcher has passed on is one ladder of both machines', async ({ panel }) => {
  await panel.setViewportSize({ width: 1440, height: 900 });
  await panel.goto('/traces?party=493012345');
  const seen = panel.getByRole('row').filter({ hasText: 'INVITE' }).filter({ hasText: 'edge' });
  await expect(seen.first()).toBeVisible({ timeout: 30_000 });
  await picture(panel, 'traces');
  await seen.first().click();
  const ladder = panel.getByRole('region', { name: 'Ladder of messages' });
  // The machine that sent it and the one that received it: one arrow.
  const passed = ladder.getByRole('button', { name: /^INVITE, .*, seen by edge and / });
  await expect(passed).toHaveCount(1);
  await passed.click();
  await expect(panel.getByTestId('message')).toContainText('INVITE sip:493012345@');
  await expect(ladder).toContainText(/seen by edge and, .* by /);
  await picture(panel, 'ladder-of-machines');
  const file = panel.getByRole('link', { name: 'PCAP' });
  await expect(file).toHaveAttribute('href', /legs=all&sip_call_id=/);
});
