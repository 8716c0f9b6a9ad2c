import { useMay } from '../../api/session';
import type { CallView } from '../../api/types';
import { time } from '../../parts/format';
import { RecordLink } from '../../parts/names';
import { Card, Facts, Page } from '../../parts/Page';
import { StateBadge } from '../../parts/StateBadge';
import { CallTrace } from '../traces/CallTrace';
import { Lasts } from './columns';
import { HangUp } from './HangUp';

/** A call in progress. */
export function LiveCall({ call }: { call: CallView }) {
  const mayEnd = useMay('operator');
  return (
    <Page title={`${call.caller} → ${call.called}`} actions={mayEnd && <HangUp call={call} />}>
      <div className="page-scroll">
        <div className="cards">
          <Card title="Call">
            <Facts
              facts={[
                ['State', <StateBadge state={call.state} />],
                ['Lasts', <Lasts call={call} />],
                ['Started', time(call.start_us)],
                ['Answered', call.answer_us ? time(call.answer_us) : 'not yet'],
                ['Server', call.server_name || '—'],
                ['Account', <RecordLink noun="accounts" id={call.account} />],
                ['Call', <span className="mono">{call.id}</span>],
              ]}
            />
          </Card>
          {call.legs.map((leg, index) => (
            <Card
              key={leg.sip_call_id + index}
              title={
                index
                  ? `Leg of the called party${call.legs.length > 2 ? ` ${index}` : ''}`
                  : 'Leg of the caller'
              }
            >
              <Facts
                facts={[
                  ['Remote address', <span className="mono">{leg.remote}</span>],
                  ['Remote URI', <span className="mono">{leg.uri}</span>],
                  ['Call-ID', <span className="mono">{leg.sip_call_id}</span>],
                  ['Hold', leg.held ? 'this side has put us on hold' : 'no'],
                ]}
              />
            </Card>
          ))}
          <Card title="Routing explanation">
            <ol className="steps mono">
              {call.explanation.map((step, index) => (
                <li key={index}>{step}</li>
              ))}
            </ol>
          </Card>
        </div>
        <div style={{ marginTop: 12 }}>
          <CallTrace id={call.id} live />
        </div>
      </div>
    </Page>
  );
}
