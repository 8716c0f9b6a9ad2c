/** What happened, as the stream of events has it. */
interface PlatformEvent {
  topic: string;
}

/** Who is told of events and of the stream itself. */
export interface Listener {
  /** Something happened; null: events are missing, all may have changed. */
  onTopic(topic: string | null): void;
  onLive(): void;
  onBroken(): void;
}

/**
 * Follows `/v1/events` until it is aborted; a stream that breaks is taken up where it was. The
 * browser's own EventSource wants the name of each event beforehand, and does not tell a stream
 * that was refused from one that broke.
 */
export async function follow(topics: string, listener: Listener, signal: AbortSignal) {
  let last: string | undefined;
  while (!signal.aborted) {
    try {
      const headers: HeadersInit = last ? { 'Last-Event-ID': last } : {};
      const answer = await fetch(`/v1/events?topics=${topics}`, { headers, signal });
      if (answer.status === 401) return;
      if (!answer.ok || !answer.body) throw new Error(`the stream was refused: ${answer.status}`);
      listener.onLive();
      last = await read(answer.body, last, listener);
    } catch {
      if (signal.aborted) return;
    }
    listener.onBroken();
    await pause(RETRY_MS, signal);
  }
}

/** Reads until the stream ends; the place to go on at. */
async function read(
  stream: ReadableStream<Uint8Array>,
  last: string | undefined,
  listener: Listener,
): Promise<string | undefined> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read().catch(() => BROKEN);
    if (done) return last;
    const messages = (rest + decoder.decode(value, { stream: true })).split('\n\n');
    rest = messages.pop() ?? '';
    for (const message of messages) {
      const fields = new Map(message.split('\n').map(field));
      last = fields.get('id') ?? last;
      if (fields.get('event') === 'gap') listener.onTopic(null);
      else if (fields.has('data')) {
        listener.onTopic((JSON.parse(fields.get('data') ?? '') as PlatformEvent).topic);
      }
    }
  }
}

function field(line: string): [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon), line.slice(colon + 1).trimStart()];
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      done();
    });
  });
}

/** A stream that breaks is one that ends: the next goes on where it was. */
const BROKEN = { done: true, value: undefined } as const;
const RETRY_MS = 2000;
