import type { MediaReport } from '../../api/types';
import { count, UNKNOWN } from '../../parts/format';
import { Card, Facts } from '../../parts/Page';

/** What a media server that has joined says of itself. */
export function MediaFacts({ of: media }: { of: MediaReport }) {
  const lines = (texts: string[]) =>
    texts.length === 0 ? (
      'none'
    ) : (
      <span className="mono">
        {texts.map((text) => (
          <span key={text} style={{ display: 'block' }}>
            {text}
          </span>
        ))}
      </span>
    );
  return (
    <Card title="Media">
      <Facts
        facts={[
          ['Sessions', sessions(media)],
          ['Load', `${media.load_percent.toFixed(1)} %`],
          ['Packets', rate(media.packets_per_s)],
          ['In the kernel', rate(media.kernel_packets_per_s)],
          ['Kernel path', media.kernel_path ?? `none: ${media.kernel_refused ?? UNKNOWN}`],
          ['Dropped', count(media.dropped_total)],
          ['Ports', `${count(media.ports_used)} used, ${count(media.ports_free)} free`],
          ['Addresses', lines(media.addresses)],
          ['Asked at', lines(media.control)],
          ['Aliases', media.aliases.join(', ') || 'none'],
          ['Zone it says', media.zone || 'none'],
        ]}
      />
    </Card>
  );
}

/** "12 of 1,000". */
export function sessions(media: MediaReport): string {
  const of = media.sessions_max == null ? '' : ` of ${count(media.sessions_max)}`;
  return count(media.sessions) + of;
}

/** "50 /s". */
export function rate(perSecond: number | null | undefined): string {
  return perSecond == null ? UNKNOWN : `${count(perSecond)} /s`;
}
