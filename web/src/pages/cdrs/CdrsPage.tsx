import { useLocalStorage } from '@mantine/hooks';
import { api, body } from '../../api/client';
import { useFilters } from '../../parts/filters';
import { ListPage } from '../../parts/ListPage';
import { ColumnChoice } from './ColumnChoice';
import { cdrColumns, usualColumns } from './columns';
import { Exports } from './Exports';
import { asQuery, periods } from './period';
import { SearchedUntil } from './SearchedUntil';

/** Calls that have ended, the latest first. */
export function CdrsPage() {
  const [filters] = useFilters();
  const [chosen, choose] = useLocalStorage({
    key: 'tandem-cdr-columns',
    defaultValue: usualColumns,
  });
  return (
    <ListPage
      title="CDRs"
      queryKey={['cdrs', 'list']}
      load={(values, cursor) =>
        body(
          api.GET('/v1/cdrs', {
            params: { query: { ...asQuery(values), cursor, limit: 200 } as never },
          }),
        )
      }
      columns={cdrColumns.filter(({ key }) => chosen.includes(key))}
      filters={[
        { name: 'caller', label: 'Caller' },
        { name: 'called', label: 'Called' },
        {
          name: 'outcome',
          label: 'Outcome',
          options: ['answered', 'busy', 'no-answer', 'cancelled', 'failed'].map((value) => ({
            value,
            label: value,
          })),
        },
        { name: 'period', label: 'Ended', options: periods },
        { name: 'carrier', label: 'Carrier', of: 'carriers' },
        { name: 'customer', label: 'Customer', of: 'customers' },
        { name: 'user', label: 'User', of: 'users' },
      ]}
      rowKey={(cdr) => cdr.call}
      to={(cdr) => `/calls/${cdr.call}`}
      empty="No call has ended yet."
      intervalMs={10_000}
      pauses={(page) => !page.complete}
      about={(page, list) =>
        page.searched_until_us != null && (
          <SearchedUntil key={JSON.stringify(filters)} untilUs={page.searched_until_us} list={list} />
        )
      }
      beside={
        <>
          <ColumnChoice columns={cdrColumns} chosen={chosen} onChange={choose} />
          <Exports filters={filters} chosen={chosen} />
        </>
      }
    />
  );
}
