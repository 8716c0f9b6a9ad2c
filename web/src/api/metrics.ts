import { queryOptions } from '@tanstack/react-query';
import { Refusal } from './problem';

/** What the platform has measured, by name; samples of one name with other labels are kept apart. */
export class Metrics {
  private readonly samples: { name: string; labels: string; value: number }[] = [];
  readonly atMs: number;

  constructor(text: string, atMs: number) {
    this.atMs = atMs;
    for (const line of text.split('\n')) {
      const match = SAMPLE.exec(line);
      if (match) {
        this.samples.push({ name: match[1]!, labels: match[2] ?? '', value: Number(match[3]) });
      }
    }
  }

  /** The sum of all samples of a name; undefined if there is none. */
  sum(name: string, label = ''): number | undefined {
    const found = this.samples.filter((s) => s.name === name && s.labels.includes(label));
    return found.length ? found.reduce((sum, sample) => sum + sample.value, 0) : undefined;
  }
}

export const metricsQuery = queryOptions({
  queryKey: ['metrics'],
  queryFn: async () => {
    const answer = await fetch('/metrics');
    if (!answer.ok) {
      throw new Refusal({
        type: 'about:blank',
        title: answer.statusText,
        status: answer.status,
        code: 'metrics',
        detail: 'the metrics cannot be read',
      });
    }
    return new Metrics(await answer.text(), Date.now());
  },
  refetchInterval: 2000,
  structuralSharing: false,
});

const SAMPLE = /^([a-z_0-9]+)(\{[^}]*\})? ([-+0-9.eE]+|NaN)$/;
