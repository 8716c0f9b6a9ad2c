import type { PhoneNumber } from '../../api/types';
import { RecordLink } from '../../parts/names';
import { Enabled, limitsText } from '../../records/cells';
import { valueAt, type Draft } from '../../records/field';
import { account, enabled, enabledFilter, limits } from '../../records/fields';
import type { Kind } from '../../records/kind';

export const numbers: Kind<'numbers'> = {
  noun: 'numbers',
  one: 'number',
  title: 'Numbers',
  about:
    'No number. A number (DID) leads calls of carriers and customers to a user, a customer or the echo.',
  columns: [
    { key: 'number', title: 'Number', cell: (number) => number.number, kind: 'mono' },
    { key: 'target', title: 'Leads to', cell: (number) => <Target number={number} /> },
    {
      key: 'account',
      title: 'Account',
      cell: (number) => <RecordLink noun="accounts" id={number.account} />,
      wide: true,
    },
    { key: 'enabled', title: 'State', cell: (number) => <Enabled record={number} /> },
    { key: 'limits', title: 'Limits', cell: (number) => limitsText(number.limits), wide: true },
  ],
  filters: [
    { name: 'number', label: 'Number' },
    { name: 'target.user', label: 'User', of: 'users' },
    { name: 'target.customer', label: 'Customer', of: 'customers' },
    { name: 'account', label: 'Account', of: 'accounts' },
    enabledFilter,
  ],
  fields: [
    {
      path: 'number',
      label: 'Number',
      help: 'E.164 digits, with or without +',
      input: { kind: 'text', mono: true },
      required: true,
    },
    account,
    enabled,
    {
      path: 'target.kind',
      label: 'Leads to',
      input: { kind: 'choice', options: ['user', 'customer', 'echo'] },
      required: true,
      section: 'Target',
    },
    {
      path: 'target.user',
      label: 'User',
      input: { kind: 'record', of: 'users' },
      required: true,
      when: leadsTo('user'),
    },
    {
      path: 'target.customer',
      label: 'Customer',
      input: { kind: 'record', of: 'customers' },
      required: true,
      when: leadsTo('customer'),
    },
    ...limits,
  ],
  fresh: { enabled: true, target: { kind: 'user' } },
  finish: (draft) => ({ ...draft, target: target(draft.target as Draft) }),
};

function leadsTo(kind: string) {
  return (draft: Draft) => valueAt(draft, 'target.kind') === kind;
}

/** Without what another kind of target would have. */
function target({ kind, user, customer }: Draft): Draft {
  if (kind === 'user') return { kind, user };
  return kind === 'customer' ? { kind, customer } : { kind };
}

function Target({ number: { target } }: { number: PhoneNumber }) {
  switch (target.kind) {
    case 'user':
      return <RecordLink noun="users" id={target.user} />;
    case 'customer':
      return <RecordLink noun="customers" id={target.customer} />;
    case 'echo':
      return <>the echo</>;
  }
}
