import { Badge } from '@mantine/core';
import { notifyManager, useQueryClient, type QueryClient } from '@tanstack/react-query';
import { useCallback, useSyncExternalStore } from 'react';
import { span } from '../parts/format';
import { useNow } from '../parts/Shown';

/** How old what is shown is, where something of it is asked for again and again and not answered. */
export function StaleFigures() {
  const client = useQueryClient();
  const watch = useCallback(
    (tell: () => void) => client.getQueryCache().subscribe(notifyManager.batchCalls(tell)),
    [client],
  );
  const sinceMs = useSyncExternalStore(watch, () => oldest(client));
  return sinceMs == null ? null : <Old sinceMs={sinceMs} />;
}

function Old({ sinceMs }: { sinceMs: number }) {
  const now = useNow();
  return (
    <Badge color="yellow" title="The platform does not answer all that is asked." data-testid="stale">
      {span(Math.max(0, now - sinceMs) / 1000)} old
    </Badge>
  );
}

/** When the oldest was read of what is on the page and could not be read again; milliseconds. */
function oldest(client: QueryClient): number | null {
  const read = client
    .getQueryCache()
    .findAll({ type: 'active' })
    .filter(({ state }) => state.data !== undefined && state.error != null)
    .map(({ state }) => state.dataUpdatedAt);
  return read.length ? Math.min(...read) : null;
}
