import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { directory, expect, picture, test } from './platform';

const file = (name: string) => readFileSync(join(directory, name), 'utf8');

test('a certificate is uploaded, shown, looked at and deleted', async ({ panel }) => {
  await panel.setViewportSize({ width: 1440, height: 900 });
  await panel.goto('/certificates');
  await panel.getByRole('button', { name: 'New certificate' }).click();
  await panel.getByRole('textbox', { name: 'Name', exact: true }).fill('sip');
  await panel.getByRole('textbox', { name: 'Chain' }).fill(file('chain.pem'));
  await panel.getByRole('textbox', { name: 'Private key' }).fill(file('other-key.pem'));
  await panel.getByRole('button', { name: 'Create certificate' }).click();
  // What is wrong stands at the field, with what to do.
  await expect(panel.getByText('send the one that it was requested with')).toBeVisible();
  await panel.getByRole('textbox', { name: 'Private key' }).fill(file('key.pem'));
  await panel.getByRole('button', { name: 'Create certificate' }).click();
  await expect(panel.getByRole('heading', { name: 'Certificate sip' })).toBeVisible();
  const says = panel.getByRole('region', { name: 'What it says' });
  await expect(says).toContainText('sip.operator.example');
  await expect(says).toContainText('CN=operator');
  const where = panel.getByRole('region', { name: 'Where it is shown' });
  await expect(where).toContainText('Nowhere on this server.');

  await panel.getByRole('switch', { name: 'Shown' }).click({ force: true });
  await panel.getByRole('button', { name: 'Save' }).click();
  await expect(where).toContainText('to who asks for no name');
  await expect(panel.getByRole('textbox', { name: 'Private key' })).toHaveValue('');
  await picture(panel, 'certificate');

  await panel.goto('/server');
  const shown = panel.getByRole('region', { name: 'Certificates shown' });
  await expect(shown.getByRole('link', { name: 'sip' }).first()).toBeVisible();
  await picture(panel, 'certificates-shown');

  await panel.goto('/certificates');
  const row = panel.getByRole('row').filter({ hasText: 'sip' });
  await expect(row).toContainText('shown');
  await picture(panel, 'certificates');
  await panel.setViewportSize({ width: 390, height: 844 });
  await picture(panel, 'certificates-phone');
  await row.click();
  await expect(says).toBeVisible();
  await picture(panel, 'certificate-phone');
  await panel.getByRole('button', { name: 'Delete' }).click();
  const dialog = panel.getByRole('dialog');
  await expect(dialog).toContainText('Delete certificate sip?');
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await expect(panel.getByText('None is kept here')).toBeVisible();
});

test('names are checked, and all that an authority says is shown', async ({ panel }) => {
  await panel.setViewportSize({ width: 1440, height: 900 });
  await panel.goto('/certificates/new');
  await panel.getByRole('textbox', { name: 'Name', exact: true }).fill('by acme');
  await panel.getByRole('combobox', { name: 'From' }).click();
  await panel.getByRole('option', { name: 'acme' }).click();
  await panel.getByRole('textbox', { name: 'Host names' }).fill('nowhere.invalid');
  await panel.getByRole('button', { name: 'Create certificate' }).click();
  const renewal = panel.getByRole('region', { name: 'Renewal' });
  await expect(renewal.getByRole('alert')).toContainText('name one in acme.directory');
  await renewal.getByRole('button', { name: 'Check the names' }).click();
  await expect(renewal.getByRole('status')).toContainText('nowhere.invalid has no address');
  await picture(panel, 'certificate-by-acme');
});
