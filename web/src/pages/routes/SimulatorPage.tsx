import { useState } from 'react';
import { api, body } from '../../api/client';
import type { Simulation } from '../../api/types';
import { DataTable } from '../../parts/DataTable';
import { RecordLink } from '../../parts/names';
import { Card, Page } from '../../parts/Page';
import { StateBadge } from '../../parts/StateBadge';
import type { Draft, Field } from '../../records/field';
import { RecordForm } from '../../records/RecordForm';

const fields: Field[] = [
  {
    path: 'called',
    label: 'Called',
    help: 'number or name, as in the request URI',
    input: { kind: 'text', mono: true },
    required: true,
  },
  { path: 'caller', label: 'Caller', help: 'as in From', input: { kind: 'text', mono: true } },
  {
    path: 'user',
    label: 'Calling user',
    input: { kind: 'record', of: 'users' },
    section: 'Who calls: one of them',
  },
  { path: 'customer', label: 'Customer', input: { kind: 'record', of: 'customers' } },
  {
    path: 'source',
    label: 'Source',
    help: 'address[:port] the INVITE comes from',
    input: { kind: 'text', mono: true },
  },
];

/** What would happen to a call, decided by the code that decides real ones. */
export function SimulatorPage() {
  const [simulation, setSimulation] = useState<Simulation | null>(null);
  const simulate = async (draft: Draft) =>
    setSimulation(await body(api.POST('/v1/routes/simulate', { body: asked(draft) })));
  return (
    <Page title="Route simulator">
      <div className="page-scroll">
        <div className="cards">
          <Card title="Call">
            <RecordForm
              fields={fields}
              initial={{}}
              action="Simulate"
              wish={(draft) => ({
                method: 'POST',
                path: '/v1/routes/simulate',
                body: asked(draft),
              })}
              onSubmit={simulate}
            />
          </Card>
          {simulation && <Outcome simulation={simulation} />}
        </div>
      </div>
    </Page>
  );
}

function Outcome({ simulation }: { simulation: Simulation }) {
  const { outcome, status, steps, targets } = simulation;
  return (
    <Card title="What would happen">
      <p data-testid="outcome">
        <StateBadge state={outcome} /> {SENTENCES[outcome]}
        {status != null && ` with ${status}`}.
      </p>
      <ol className="steps mono" aria-label="Steps of the decision">
        {steps.map((step, index) => (
          <li key={index}>{step}</li>
        ))}
      </ol>
      {targets.length > 0 && (
        <div style={{ marginTop: 12 }}>
          <DataTable
            fits
            label="Attempts"
            columns={[
              { key: 'uri', title: 'INVITE to', cell: (target) => target.uri, kind: 'mono' },
              { key: 'number', title: 'Number', cell: (target) => target.number, kind: 'mono' },
              {
                key: 'carrier',
                title: 'Carrier',
                cell: (target) => <RecordLink noun="carriers" id={target.carrier} />,
              },
              {
                key: 'gateway',
                title: 'Gateway',
                cell: (target) => <RecordLink noun="gateways" id={target.gateway} />,
              },
              {
                key: 'tried',
                title: 'Now',
                cell: (target) => (target.available ? 'would be tried' : 'would be skipped'),
              },
            ]}
            rows={targets}
            rowKey={(target) => target.uri + target.number}
          />
        </div>
      )}
    </Card>
  );
}

function asked(draft: Draft) {
  const filled = Object.entries(draft).filter(([, value]) => value !== '' && value != null);
  return { called: '', ...Object.fromEntries(filled) };
}

const SENTENCES: Record<Simulation['outcome'], string> = {
  user: 'It rings the contacts of a user',
  carrier: 'It goes to a carrier',
  customer: 'It goes to a customer’s own switch',
  application: 'An application of the platform answers it',
  redirected: 'It is sent to another server',
  refused: 'It is refused',
};
