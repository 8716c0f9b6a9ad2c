import type { Latency, ZoneLatency } from '../../api/types';
import { milliseconds, plural, span, UNKNOWN } from '../../parts/format';

/** How far zones are from each other: a row for who asks, a column for who answers. */
export function LatencyMatrix({ pairs }: { pairs: ZoneLatency[] }) {
  const names = [...new Set(pairs.flatMap(({ from, to }) => [from, to]))].sort();
  const cells = new Map(pairs.map((pair) => [key(pair.from, pair.to), pair]));
  return (
    <div className="table-box fits" tabIndex={0} role="group" aria-label="Latency between zones">
      <table aria-label="Latency between zones">
        <thead>
          <tr>
            <th scope="col">From, to</th>
            {names.map((name) => (
              <th key={name} scope="col" className="right">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {names.map((from) => (
            <tr key={from}>
              <th scope="row">{from}</th>
              {names.map((to) => (
                <td key={to} className="right latency">
                  <Cell pair={cells.get(key(from, to))} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell({ pair }: { pair: ZoneLatency | undefined }) {
  if (!pair) return <span className="dim">·</span>;
  return (
    <>
      <Way name="SIP" of={pair.sip} />
      <Way name="ICMP" of={pair.icmp} />
    </>
  );
}

function Way({ name, of }: { name: string; of: Latency }) {
  return (
    <div title={`${name}: ${latencyWords(of)}`} data-state={of.state}>
      {name} {latencyText(of)}
    </div>
  );
}

/** In short, with the age of what is not of now. */
export function latencyText(of: Latency): string {
  if (of.median_us == null) return of.state === 'unanswered' ? 'no answer' : UNKNOWN;
  const text = milliseconds(of.median_us);
  return of.state === 'stale' ? `${text}, ${span(of.age_s ?? 0)} old` : text;
}

/** All that is known. */
export function latencyWords(of: Latency): string {
  if (of.median_us == null) return of.cause;
  const between = plural(of.pairs, 'pair of servers', 'pairs of servers');
  return `median ${milliseconds(of.median_us)}, worst ${milliseconds(of.worst_us)}, ${between}; ${of.cause}`;
}

const key = (from: string, to: string) => JSON.stringify([from, to]);
