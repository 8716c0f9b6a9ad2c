import { RecordLink } from '../../parts/names';
import { Enabled, limitsText } from '../../records/cells';
import {
  accountOrAll,
  dtmf,
  enabled,
  enabledFilter,
  limits,
  media,
  mediaZone,
  name,
  rewrite,
} from '../../records/fields';
import type { Kind } from '../../records/kind';
import { CarrierBeside } from './CarrierBeside';
import { CarrierState } from './CarrierState';

export const carriers: Kind<'carriers'> = {
  noun: 'carriers',
  one: 'carrier',
  title: 'Carriers',
  about: 'No carrier. A carrier takes calls to the outside through one or several gateways.',
  topics: 'gateways',
  columns: [
    { key: 'name', title: 'Name', cell: (carrier) => carrier.name },
    {
      key: 'gateways',
      title: 'Gateways',
      cell: (carrier) => <CarrierState carrier={carrier.id} />,
    },
    { key: 'enabled', title: 'State', cell: (carrier) => <Enabled record={carrier} /> },
    { key: 'limits', title: 'Limits', cell: (carrier) => limitsText(carrier.limits) },
    {
      key: 'account',
      title: 'Account',
      cell: (carrier) =>
        carrier.account ? <RecordLink noun="accounts" id={carrier.account} /> : 'all',
      wide: true,
    },
    {
      key: 'zone',
      title: 'Media zone',
      cell: (carrier) => carrier.media_zone ?? 'any',
      wide: true,
    },
  ],
  filters: [
    { name: 'name', label: 'Name' },
    { name: 'account', label: 'Account', of: 'accounts' },
    enabledFilter,
  ],
  fields: [
    name,
    accountOrAll,
    enabled,
    { ...media, section: 'Media' },
    mediaZone,
    dtmf,
    { path: 'record', label: 'Record calls', input: { kind: 'switch' } },
    ...rewrite,
    ...limits,
  ],
  fresh: { enabled: true, dtmf: 'rfc4733' },
  Beside: CarrierBeside,
};
