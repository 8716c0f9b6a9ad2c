import { Button, Group } from '@mantine/core';
import { useState } from 'react';
import type { Ladder as LadderData, Rung } from '../../api/types';
import { plural } from '../../parts/format';
import { Unheard } from '../calls/Unheard';
import { RungDetail } from './RungDetail';

interface Props {
  ladder: LadderData;
  /** The query by which its messages are exported. */
  exported: string;
}

/** Messages of all legs on one axis of time: a lane for each address, an arrow for each message. */
export function Ladder({ ladder, exported }: Props) {
  const [open, setOpen] = useState<string | null>(null);
  const first = ladder.rungs[0];
  if (!first) {
    return (
      <>
        <Unheard servers={ladder.unheard} what="Messages" />
        <p className="dim">No message of it is kept: the trace was off, or they were too old.</p>
      </>
    );
  }
  const repeats = ladder.rungs.filter((rung) => rung.repeats != null).length;
  return (
    <>
      <Unheard servers={ladder.unheard} what="Messages" />
      <Group justify="space-between" mb={8}>
        <span className="dim">
          {plural(ladder.rungs.length, 'message')}
          {ladder.is_cut && ', and more that are not shown'}
          {repeats > 0 && `, ${repeats} sent again`}
        </span>
        <Group gap={8}>
          <Exported what="PCAP" path={`/v1/traces/export.pcap?${exported}`} />
          <Exported what="Text" path={`/v1/traces/export.txt?${exported}`} />
        </Group>
      </Group>
      <div className="ladder-box" tabIndex={0} role="region" aria-label="Ladder of messages">
        <div className="ladder" style={{ minWidth: TIME_PX + ladder.lanes.length * LANE_PX }}>
          <div className="ladder-row ladder-heads">
            <span className="ladder-time dim">s</span>
            <div className="ladder-lanes">
              {ladder.lanes.map((lane, index) => (
                <div
                  key={lane.address}
                  className="ladder-head"
                  style={{ left: at(index, ladder), width: `${100 / ladder.lanes.length}%` }}
                >
                  <b className="mono">{lane.address}</b>
                  <span className="dim">
                    {lane.is_ours ? lane.node || 'Tandem' : lane.agent || ' '}
                  </span>
                </div>
              ))}
            </div>
          </div>
          {ladder.rungs.map((rung, index) => (
            <div key={rung.id}>
              <button
                type="button"
                className="ladder-row ladder-rung"
                aria-expanded={open === rung.id}
                aria-label={words(rung, ladder)}
                onClick={() => setOpen(open === rung.id ? null : rung.id)}
              >
                <Times
                  sinceUs={rung.at_us - first.at_us}
                  stepUs={rung.at_us - (ladder.rungs[index - 1]?.at_us ?? rung.at_us)}
                />
                <div className="ladder-lanes">
                  {ladder.lanes.map((lane, lane_index) => (
                    <i
                      key={lane.address}
                      className={lane.is_ours ? 'lane ours' : 'lane'}
                      style={{ left: at(lane_index, ladder) }}
                    />
                  ))}
                  <Arrow rung={rung} ladder={ladder} />
                </div>
              </button>
              {open === rung.id && <RungDetail rung={rung} ladder={ladder} />}
            </div>
          ))}
        </div>
      </div>
    </>
  );
}

function Times({ sinceUs, stepUs }: { sinceUs: number; stepUs: number }) {
  return (
    <span className="ladder-time mono">
      {(sinceUs / 1e6).toFixed(3)}
      <span className={stepUs >= SLOW_US ? 'slow' : 'dim'}>+{(stepUs / 1e6).toFixed(3)}</span>
    </span>
  );
}

function Arrow({ rung, ladder }: { rung: Rung; ladder: LadderData }) {
  const [left, right] = [Math.min(rung.from, rung.to), Math.max(rung.from, rung.to)];
  const kind = rung.status == null ? 'ask' : rung.status < 300 ? 'good' : 'bad';
  const classes = ['arrow', kind, rung.from < rung.to ? 'to-right' : 'to-left'];
  if (rung.repeats != null) classes.push('repeat');
  const width = `${((right - left) * 100) / ladder.lanes.length}%`;
  return (
    <span className={classes.join(' ')} style={{ left: at(left, ladder), width }}>
      <span className="arrow-title">
        {rung.repeats != null && '↻ '}
        {rung.title}
        {rung.has_sdp && <em>SDP{rung.sdp_changes.length > 0 && ' changed'}</em>}
        {rung.seen_by != null && <em>{rung.seen_by}</em>}
      </span>
    </span>
  );
}

function Exported({ what, path }: { what: string; path: string }) {
  return (
    <Button component="a" href={path} download variant="default">
      {what}
    </Button>
  );
}

/** What an arrow shows, in words. */
function words(rung: Rung, ladder: LadderData): string {
  const name = (lane: number) => ladder.lanes[lane]?.address ?? '';
  const again = rung.repeats != null ? ', sent again' : '';
  const seen = rung.node ? `, seen by ${rung.node}` : '';
  const both = rung.received_by ? ` and ${rung.received_by}` : '';
  const ends = `from ${name(rung.from)} to ${name(rung.to)}`;
  return `${rung.title}, ${rung.method}, ${ends}${again}${seen}${both}`;
}

/** Where a lane stands: in the middle of its share. */
function at(lane: number, ladder: LadderData): string {
  return `${((lane + 0.5) * 100) / ladder.lanes.length}%`;
}

const TIME_PX = 62;
const LANE_PX = 96;
/** A wait that people notice. */
const SLOW_US = 500_000;
