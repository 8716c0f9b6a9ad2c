import { expect, make, test } from './platform';

test('a carrier, its gateway and a route are made, and the simulator sends a call there', async ({
  panel,
}) => {
  await panel.goto('/carriers');
  await panel.getByRole('button', { name: 'New carrier' }).click();
  await panel.getByLabel('Name').fill('acme');
  await panel.getByLabel('Channels').fill('100');
  await panel.getByRole('button', { name: 'Create carrier' }).click();
  await expect(panel.getByRole('heading', { name: 'Carrier acme' })).toBeVisible();

  await panel.getByRole('button', { name: 'New gateway' }).click();
  await panel.getByRole('textbox', { name: 'Name', exact: true }).fill('acme-1');
  await panel.getByRole('button', { name: 'Create gateway' }).click();
  await expect(panel.getByText('this is needed')).toBeVisible();
  await panel.getByRole('textbox', { name: 'Host', exact: true }).fill('127.0.0.1');
  await panel.getByRole('textbox', { name: 'Port', exact: true }).fill('70000');
  await panel.getByRole('button', { name: 'Create gateway' }).click();
  // What the platform refuses is said at the field.
  await expect(panel.getByRole('textbox', { name: 'Port', exact: true })).toHaveAttribute(
    'aria-invalid',
    'true',
  );
  await panel.getByRole('textbox', { name: 'Port', exact: true }).fill('9');
  await panel.getByLabel('OPTIONS interval (s)').fill('0');
  await panel.getByRole('button', { name: 'Create gateway' }).click();
  await expect(panel.getByRole('heading', { name: 'Gateway acme-1' })).toBeVisible();
  // Nobody has tried it: that is neither up nor down.
  await expect(panel.getByLabel('Health')).toContainText('unknown');

  await panel.goto('/routes/new');
  await panel.getByRole('textbox', { name: 'Prefix', exact: true }).fill('49');
  await panel.getByRole('combobox', { name: 'Carrier' }).click();
  await panel.getByRole('option', { name: 'acme' }).click();
  await panel.getByRole('button', { name: 'As CLI / curl' }).click();
  await expect(panel.getByText("tandem api POST '/v1/routes'")).toBeVisible();
  await panel.getByRole('button', { name: 'Create route' }).click();
  await expect(panel.getByRole('heading', { name: 'Route 49' })).toBeVisible();

  await panel.goto('/simulator');
  await panel.getByRole('textbox', { name: 'Called', exact: true }).fill('+4930123456');
  await panel.getByRole('combobox', { name: 'Calling user' }).click();
  await panel.getByRole('option', { name: 'alice' }).click();
  await panel.getByRole('button', { name: 'Simulate' }).click();
  await expect(panel.getByTestId('outcome')).toContainText('It goes to a carrier');
  await expect(panel.getByLabel('Steps of the decision')).toContainText('acme-1');
});

test('a record that somebody else has changed is not overwritten', async ({ panel, request }) => {
  const { id } = await make(request, '/v1/accounts', { name: 'contended' });
  await panel.goto(`/accounts/${id}`);
  await panel.getByLabel('Name').fill('mine');
  const theirs = await panel.context().newPage();
  await theirs.goto(`/accounts/${id}`);
  await theirs.getByLabel('Name').fill('theirs');
  await theirs.getByRole('button', { name: 'Save' }).click();
  await expect(theirs.getByRole('heading', { name: 'Account theirs' })).toBeVisible();
  await panel.getByRole('button', { name: 'Save' }).click();
  await expect(panel.getByText('Somebody else has changed it in between')).toBeVisible();
  await panel.getByRole('button', { name: 'Read it again' }).click();
  await expect(panel.getByLabel('Name')).toHaveValue('theirs');
});

test('a user is made with a password that is shown once, found by search, and deleted', async ({
  panel,
}) => {
  await panel.goto('/users/new');
  await panel.getByRole('textbox', { name: 'Name', exact: true }).fill('carol');
  await panel.getByRole('combobox', { name: 'Account' }).click();
  await panel.getByRole('option', { name: 'Default' }).click();
  await panel.getByRole('button', { name: 'Create user' }).click();
  await expect(panel.getByTestId('secret')).toHaveText(/^[A-Za-z0-9]{16}$/);
  await panel.keyboard.press('Control+k');
  await panel.getByLabel('Search everywhere').fill('carol');
  await panel.getByRole('button', { name: 'carol user' }).click();
  await expect(panel.getByRole('heading', { name: 'User carol' })).toBeVisible();
  await panel.getByRole('button', { name: 'Delete' }).click();
  await panel.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(panel.getByRole('heading', { name: 'Users' })).toBeVisible();
  await expect(panel.getByRole('row').filter({ hasText: 'alice' })).toBeVisible();
  await expect(panel.getByRole('row').filter({ hasText: 'carol' })).toHaveCount(0);
  await panel.goto('/audit');
  await panel.getByRole('row').filter({ hasText: 'carol' }).first().click();
  await expect(panel.getByRole('dialog')).toContainText('caller_number');
});
