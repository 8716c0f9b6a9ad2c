import type { Cdr } from '../../api/types';
import { duration, milliseconds, time } from '../../parts/format';
import { RecordLink } from '../../parts/names';
import { Card, Facts, Page } from '../../parts/Page';
import { StateBadge } from '../../parts/StateBadge';
import { CallTrace } from '../traces/CallTrace';
import { LegQuality } from './LegQuality';
import { whyItEnded } from './whyItEnded';

/** A call that has ended. */
export function EndedCall({ cdr }: { cdr: Cdr }) {
  const pdd = cdr.ring_us == null ? null : cdr.ring_us - cdr.start_us;
  const talked = cdr.answer_us == null ? null : (cdr.end_us - cdr.answer_us) / 1e6;
  return (
    <Page title={`${cdr.caller} → ${cdr.called}`} actions={<StateBadge state={cdr.outcome} />}>
      <p style={{ margin: 0 }} data-testid="why">
        {whyItEnded(cdr)}
      </p>
      <div className="page-scroll">
        <div className="cards">
          <Card title="Call">
            <Facts
              facts={[
                ['Started', time(cdr.start_us)],
                ['Ringing after (PDD)', milliseconds(pdd)],
                ['Answered', cdr.answer_us ? time(cdr.answer_us) : 'never'],
                ['Ended', time(cdr.end_us)],
                ['Talked', duration(talked)],
                ['Status', <span className="mono">{cdr.status}</span>],
                ['Ended by', cdr.ended_by],
                ['Attempts', cdr.attempts],
                [
                  'Recordings',
                  cdr.recordings?.length ? (
                    <span className="mono">{cdr.recordings.join(', ')}</span>
                  ) : (
                    'none'
                  ),
                ],
              ]}
            />
          </Card>
          <Card title="Parties and route">
            <Facts
              facts={[
                ['Source', <span className="mono">{cdr.source}</span>],
                ['Destination sent', <span className="mono">{cdr.destination || '—'}</span>],
                ['Account', <RecordLink noun="accounts" id={cdr.account} />],
                [
                  'From user',
                  cdr.from_user ? <RecordLink noun="users" id={cdr.from_user} /> : undefined,
                ],
                [
                  'Customer',
                  cdr.customer ? <RecordLink noun="customers" id={cdr.customer} /> : undefined,
                ],
                ['Number', cdr.number ? <RecordLink noun="numbers" id={cdr.number} /> : undefined],
                ['To user', cdr.to_user ? <RecordLink noun="users" id={cdr.to_user} /> : undefined],
                [
                  'Carrier',
                  cdr.carrier ? <RecordLink noun="carriers" id={cdr.carrier} /> : undefined,
                ],
                [
                  'Gateway',
                  cdr.gateway ? <RecordLink noun="gateways" id={cdr.gateway} /> : undefined,
                ],
                ['Call-ID, caller', <span className="mono">{cdr.sip_call_id}</span>],
                ['Call-ID, called', <span className="mono">{cdr.sip_call_id_b || '—'}</span>],
                ['Node', <span className="mono">{cdr.node}</span>],
                ['Call', <span className="mono">{cdr.call}</span>],
              ]}
            />
          </Card>
          <LegQuality title="Media from the caller" media={cdr.media_a} />
          <LegQuality title="Media from the called party" media={cdr.media_b} />
        </div>
        <div style={{ marginTop: 12 }}>
          <CallTrace id={cdr.call} live={false} />
        </div>
      </div>
    </Page>
  );
}
