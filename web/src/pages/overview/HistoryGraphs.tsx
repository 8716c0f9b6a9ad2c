import { Button, SegmentedControl, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useOpen } from '../../api/session';
import type { AuditEntry, HistoryView } from '../../api/types';
import { time } from '../../parts/format';
import { Card } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { TimeChart, type Mark } from '../../parts/TimeChart';
import { changesQuery, changeWords } from './changes';
import { historyQuery, pointsOf, SPANS } from './history';

interface Graph {
  title: string;
  /** Figures and what they are called. */
  lines: [string, string][];
  range?: [number, number];
  scale?: number;
}

const CALLS: Graph[] = [
  {
    title: 'Attempts',
    lines: [
      ['attempts', 'attempts'],
      ['answered', 'answered'],
      ['failed', 'failed'],
    ],
  },
  {
    title: 'Channels',
    lines: [
      ['channels', 'channels'],
      ['channels_peak', 'most'],
    ],
  },
  {
    title: 'CPS',
    lines: [
      ['cps', 'CPS'],
      ['cps_peak', 'most'],
    ],
  },
  { title: 'ASR, %', lines: [['asr', 'ASR']], range: [0, 100] },
  { title: 'ACD, s', lines: [['acd_s', 'ACD']] },
  {
    title: 'PDD, ms',
    lines: [
      ['pdd_p50_ms', 'median'],
      ['pdd_p95_ms', '95 %'],
    ],
  },
  { title: 'MOS', lines: [['mos', 'MOS']], range: [1, 5] },
];
const MACHINE: Graph[] = [
  { title: 'Registrations', lines: [['registrations', 'registrations']] },
  { title: 'CPU, % of a core', lines: [['cpu_percent', 'CPU']] },
  { title: 'Memory, MB', lines: [['memory_bytes', 'memory']], scale: 1e-6 },
];

/** What was measured, of one server or of all together, with the changes of that time. */
export function HistoryGraphs({ server }: { server?: string }) {
  const [last, setLast] = useState('21600');
  const asked = useQuery(historyQuery(Number(last), server));
  const mayKnow = useOpen('audit');
  const changes = useQuery({ ...changesQuery, enabled: mayKnow });
  return (
    <section aria-label="History">
      <SegmentedControl
        size="xs"
        my={8}
        data={SPANS}
        value={last}
        onChange={setLast}
        aria-label="How far back"
      />
      <Shown asked={asked}>
        {(history) => (
          <Graphs
            history={history}
            graphs={server ? [...CALLS, ...MACHINE] : [...CALLS, MACHINE[0]!]}
            changes={within(history, changes.data?.items)}
          />
        )}
      </Shown>
    </section>
  );
}

interface GraphsProps {
  history: HistoryView;
  graphs: Graph[];
  changes: AuditEntry[];
}

function Graphs({ history, graphs, changes }: GraphsProps) {
  const times = history.at_us.map((us) => us / 1e6);
  const marks: Mark[] = changes.map((entry) => ({
    atS: entry.at_us / 1e6,
    label: changeWords(entry),
  }));
  return (
    <>
      <div className="cards">
        {graphs.map(({ title, lines, range, scale = 1 }) => (
          <Card key={title} title={title}>
            <TimeChart
              label={title}
              axis="clock"
              together="history"
              span={[history.from_us / 1e6, history.to_us / 1e6]}
              marks={marks}
              times={times}
              range={range}
              series={lines.map(([figure, label]) => ({
                label,
                values: pointsOf(history, figure).map((v) => (v == null ? null : v * scale)),
              }))}
            />
          </Card>
        ))}
        {changes.length > 0 && <Changes changes={changes} />}
      </div>
      <Text size="xs" c="dimmed" mt={4}>
        {says(history)}
      </Text>
    </>
  );
}

function Changes({ changes }: { changes: AuditEntry[] }) {
  return (
    <Card title="Changes within this time">
      <ol className="changes">
        {changes.slice(0, CHANGES_MAX).map((entry) => (
          <li key={String(entry.revision) + entry.record}>
            <span className="dim nowrap">{time(entry.at_us)}</span> {changeWords(entry)}
          </li>
        ))}
      </ol>
      <Button component={Link} to="/audit" variant="subtle" size="compact-xs">
        Audit log
      </Button>
    </Card>
  );
}

function within(history: HistoryView, changes: AuditEntry[] | undefined): AuditEntry[] {
  return (changes ?? []).filter(({ at_us }) => at_us >= history.from_us && at_us < history.to_us);
}

/** Whose figures these are, and how long a point is. */
function says({ servers, step_s }: HistoryView): string {
  const step = step_s === 60 ? 'a minute' : `${step_s / 60} minutes`;
  if (servers.length === 0) return 'Nothing was measured within this time.';
  const names = servers.slice(0, NAMES_MAX).map(({ name }) => name);
  const rest = servers.length - names.length;
  const of = names.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
  return `One point is ${step}, of ${of}. Where a line is broken, nobody has measured.`;
}

const CHANGES_MAX = 6;
const NAMES_MAX = 4;
