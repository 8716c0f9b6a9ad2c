import { useQueryClient, type QueryClient } from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';
import { useOpen } from './session';
import { follow } from './stream';

/** How the stream of events is. */
export type StreamState = 'live' | 'broken' | 'off';

let state: StreamState = 'off';
const watchers = new Set<() => void>();

function become(next: StreamState): void {
  state = next;
  watchers.forEach((tell) => tell());
}

export function useStreamState(): StreamState {
  return useSyncExternalStore(
    (tell) => {
      watchers.add(tell);
      return () => watchers.delete(tell);
    },
    () => state,
  );
}

/**
 * Reads again what events of these topics are about, while the caller is shown: queries whose key
 * begins with the topic. A page follows one stream, as browsers allow six to a site.
 */
export function useEvents(topics: string): void {
  const client = useQueryClient();
  const open = useOpen('events');
  useEffect(() => {
    if (!open) return;
    const abort = new AbortController();
    const old = new Refresher(client);
    const all = topics.split(',');
    const listener = {
      onTopic: (topic: string | null) => (topic ? [topic] : all).forEach((t) => old.mark(t)),
      onLive: () => become('live'),
      onBroken: () => become('broken'),
    };
    void follow(topics, listener, abort.signal);
    return () => {
      abort.abort();
      old.stop();
      become('off');
    };
  }, [client, topics, open]);
}

/** Reads again at most twice a second, however many events there are. */
class Refresher {
  private readonly marked = new Set<string>();
  private readonly client: QueryClient;
  private timer: number | undefined;

  constructor(client: QueryClient) {
    this.client = client;
  }

  mark(topic: string): void {
    this.marked.add(topic);
    this.timer ??= window.setTimeout(() => this.refresh(), INTERVAL_MS);
  }

  stop(): void {
    window.clearTimeout(this.timer);
  }

  private refresh(): void {
    this.timer = undefined;
    for (const topic of this.marked) {
      void this.client.invalidateQueries({
        queryKey: [topic],
        predicate: (query) => pagesOf(query.state.data) <= PAGES_MAX,
      });
    }
    this.marked.clear();
  }
}

function pagesOf(data: unknown): number {
  return (data as { pages?: unknown[] } | undefined)?.pages?.length ?? 1;
}

const INTERVAL_MS = 500;
/** Longer lists are read again by their interval alone: each page is a question to the node. */
const PAGES_MAX = 2;
