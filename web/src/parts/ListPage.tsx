import { useInfiniteQuery, type QueryKey } from '@tanstack/react-query';
import { useCallback, useMemo, type ReactNode } from 'react';
import type { Filters } from '../api/records';
import type { Page as ListedPage } from '../api/types';
import { DataTable, type Column } from './DataTable';
import { FilterBar, type Filter } from './FilterBar';
import { useFilters } from './filters';
import { Page } from './Page';
import { Shown } from './Shown';

interface Props<T, P extends ListedPage<T>> {
  title: string;
  queryKey: QueryKey;
  /** One page of what is listed. */
  load: (filters: Filters, cursor: string | undefined) => Promise<P>;
  columns: Column<T>[];
  filters: Filter[];
  rowKey: (row: T) => string;
  /** The path of the page that a row opens. */
  to?: (row: T) => string;
  /** What a row does that opens no page. */
  onOpen?: (row: T) => void;
  empty: string;
  /** How often it is read again; more seldom by as many pages as are shown. */
  intervalMs?: number;
  actions?: ReactNode;
  /** What stands at the end of the filters, after the number of rows. */
  beside?: ReactNode;
  /** What stands above the table. */
  children?: ReactNode;
  /** What the last page says beside its items: above the table, too. */
  about?: (page: P, list: Listed) => ReactNode;
  /** Whether the list goes on after this page only where somebody says so, not when its end is in sight. */
  pauses?: (page: P) => boolean;
}

/** A list as whoever says more about it needs it. */
export interface Listed {
  /** Pages read so far. */
  pages: number;
  isFetching: boolean;
  /** Whether the next page could not be read when it was asked for last. */
  hasFailed: boolean;
  /** Reads the next page. */
  more: () => void;
}

/** A page that is a list: its filters in the URL, paged by the platform. */
export function ListPage<T, P extends ListedPage<T> = ListedPage<T>>(props: Props<T, P>) {
  const { title, queryKey, load, columns, filters, rowKey, to, onOpen, empty, actions } = props;
  const { beside, children, about, pauses, intervalMs = 30_000 } = props;
  const [values] = useFilters();
  const asked = useInfiniteQuery({
    queryKey: [...queryKey, values],
    queryFn: ({ pageParam }) => load(values, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: (query) => intervalMs * Math.max(1, query.state.data?.pages.length ?? 1),
  });
  const rows = useMemo(() => asked.data?.pages.flatMap((page) => page.items) ?? [], [asked.data]);
  const last = asked.data?.pages.at(-1);
  const { hasNextPage, isFetching, fetchNextPage, isFetchNextPageError: hasFailed } = asked;
  const pages = asked.data?.pages.length ?? 0;
  const more = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [hasNextPage, isFetching, fetchNextPage]);
  const filtered = filters.some(({ name }) => values[name]);
  return (
    <Page title={title} actions={actions}>
      <FilterBar filters={filters}>
        <span className="dim nowrap" style={{ fontSize: 12, alignSelf: 'center' }}>
          {asked.data && `${rows.length}${hasNextPage ? '+' : ''} shown`}
        </span>
        {beside}
      </FilterBar>
      {children}
      {last && about?.(last, { pages, isFetching, hasFailed, more })}
      <Shown asked={asked}>
        {() => (
          <DataTable
            label={title}
            columns={columns}
            rows={rows}
            rowKey={rowKey}
            to={to}
            onOpen={onOpen}
            onEnd={last && pauses?.(last) ? undefined : more}
            empty={hasNextPage ? 'Nothing found yet.' : filtered ? nothing : empty}
          />
        )}
      </Shown>
    </Page>
  );
}

const nothing = 'Nothing matches the filters.';
