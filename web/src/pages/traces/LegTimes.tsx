import type { Ladder } from '../../api/types';
import { milliseconds } from '../../parts/format';
import { Card, Facts } from '../../parts/Page';

/** What took how long on each leg, and what was sent again. */
export function LegTimes({ ladder }: { ladder: Ladder }) {
  if (ladder.rungs.length === 0) return null;
  return (
    <div className="cards" style={{ marginTop: 12 }}>
      {ladder.legs.map((leg, index) => (
        <Card
          key={leg.sip_call_id}
          title={index ? `Timers of attempt ${index}` : 'Timers of the caller'}
        >
          <Facts
            facts={[
              ['Ringing after', milliseconds(leg.ring_delay_us)],
              ['Answered after', milliseconds(leg.answer_delay_us)],
              ['Sent again', leg.repeats],
              ['Session timer', <span className="mono">{leg.session_expires ?? 'none'}</span>],
              ['Call-ID', <span className="mono">{leg.sip_call_id}</span>],
            ]}
          />
        </Card>
      ))}
    </div>
  );
}
