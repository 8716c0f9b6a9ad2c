import { Button } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useEvents } from '../api/events';
import { listRecords } from '../api/records';
import { useOpen } from '../api/session';
import type { Noun } from '../api/types';
import { ListPage } from '../parts/ListPage';
import type { Kind } from './kind';

/** The list of a kind of record. */
export function RecordsPage<N extends Noun>({ kind }: { kind: Kind<N, string> }) {
  const { noun, one, title, about, columns, filters, topics, Above } = kind;
  const navigate = useNavigate();
  const mayChange = useOpen(noun, 'change');
  useEvents([noun, topics].filter(Boolean).join(','));
  const create = () => void navigate({ to: `/${noun}/new` as string });
  return (
    <ListPage
      title={title}
      queryKey={[noun, 'list']}
      load={(values, cursor) => listRecords(noun, values, cursor)}
      columns={columns}
      filters={filters}
      rowKey={(row) => row.id}
      to={(row) => `/${noun}/${row.id}`}
      empty={about}
      actions={mayChange && <Button onClick={create}>New {one}</Button>}
    >
      {Above && <Above />}
    </ListPage>
  );
}
