import { useQuery } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import type { Ladder, Rung } from '../../api/types';
import { time } from '../../parts/format';
import { Shown } from '../../parts/Shown';

/** A message: what it says, and how its description differs from the one it was made of. */
export function RungDetail({ rung, ladder }: { rung: Rung; ladder: Ladder }) {
  const asked = useQuery({
    queryKey: ['traces', 'one', rung.id],
    queryFn: () => body(api.GET('/v1/traces/{id}', { params: { path: { id: rung.id } } })),
    staleTime: Infinity,
    retry: false,
  });
  const source = rung.sdp_from == null ? undefined : ladder.rungs[rung.sdp_from];
  return (
    <div className="rung-detail">
      <p className="dim">
        {time(rung.at_us)}.{String(rung.at_us % 1_000_000).padStart(6, '0')} {rung.transport}{' '}
        {ladder.lanes[rung.from]?.address} → {ladder.lanes[rung.to]?.address}
        {rung.repeats != null && ', byte for byte what was sent before'}
        {rung.node && `; seen by ${rung.node}`}
        {rung.received_by && ` and, ${apart(rung.received_after_us)}, by ${rung.received_by}`}
      </p>
      {source && rung.sdp_changes.length > 0 && (
        <>
          <h3>
            Description: what became of that in {source.title} from{' '}
            {ladder.lanes[source.from]?.address}
          </h3>
          <pre className="command sdp">
            {rung.sdp_changes.map((line, index) => (
              <span key={index} className={`sdp-${line.change}`}>
                {SIGNS[line.change]} {line.text}
                {'\n'}
              </span>
            ))}
          </pre>
        </>
      )}
      {source && rung.sdp_changes.length === 0 && (
        <p className="dim">The description passed from the other leg as it was.</p>
      )}
      <Shown asked={asked}>
        {(message) => (
          <>
            <pre className="command" data-testid="message">
              {message.text}
            </pre>
            {message.left_out_bytes > 0 && (
              <p className="dim">{message.left_out_bytes} bytes of its body are not kept.</p>
            )}
          </>
        )}
      </Shown>
    </div>
  );
}

/** How much later a message arrived than it was sent, by two clocks that may differ. */
function apart(us: number | null | undefined): string {
  const ms = Math.abs((us ?? 0) / 1000).toFixed(1);
  return (us ?? 0) < 0 ? `by its clock ${ms} ms before` : `${ms} ms later`;
}

const SIGNS = { same: ' ', gone: '−', new: '+' };
