import type { CdrLegMedia } from '../../api/types';
import { bytes, count, milliseconds, mos, percent } from '../../parts/format';
import { Card, Facts } from '../../parts/Page';
import { TimeChart } from '../../parts/TimeChart';

interface Props {
  title: string;
  media: CdrLegMedia | null | undefined;
}

/** What was received from one leg, and what it says it received. */
export function LegQuality({ title, media }: Props) {
  if (!media?.packets) return <Card title={title}>Nothing came.</Card>;
  const expected = media.packets + media.lost;
  const course = media.mos_course_centi ?? [];
  const step = media.mos_course_step_s ?? 0;
  return (
    <Card title={title}>
      <Facts
        facts={[
          ['Codec', <span className="mono">{media.codec || '—'}</span>],
          ['MOS', `${mos(media.mos_centi)}, worst five seconds ${mos(media.mos_min_centi)}`],
          ['Packets', `${count(media.packets)} (${bytes(media.bytes)})`],
          ['Lost on the way to us', `${count(media.lost)} (${percent(media.lost, expected)})`],
          ['Jitter', milliseconds(media.jitter_us)],
          ['Round trip', milliseconds(media.rtt_us)],
          ['It says it lost', count(media.peer_lost)],
          ['Jitter it says it saw', milliseconds(media.peer_jitter_us)],
          ['MOS of what it heard', mos(media.peer_mos_centi)],
        ]}
      />
      {course.length > 1 && step > 0 && (
        <TimeChart
          label={`MOS of ${title} over the call`}
          times={course.map((_, index) => index * step)}
          series={[{ label: 'MOS', values: course.map((centi) => (centi ? centi / 100 : null)) }]}
          axis="seconds"
          range={[1, 4.5]}
          height={110}
        />
      )}
    </Card>
  );
}
