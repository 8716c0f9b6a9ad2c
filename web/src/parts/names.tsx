import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { allRecords } from '../api/records';
import { UNKNOWN } from './format';
import { usePreload } from './preload';
import type { Noun, RecordOf } from '../api/types';

/** What records of a kind are called, by identifier. */
export function useNames(noun: Noun): Map<string, string> {
  return useNamesOnceKnown(noun) ?? NONE;
}

/** The same; undefined as long as the platform has not answered. */
export function useNamesOnceKnown(noun: Noun): Map<string, string> | undefined {
  const { data } = useQuery({
    queryKey: [noun, 'names'],
    queryFn: async () => {
      const records = await allRecords(noun);
      return new Map(records.map((record) => [record.id, nameOf(noun, record)]));
    },
    staleTime: 30_000,
    structuralSharing: false,
  });
  return data;
}

/** What people call a record. */
export function nameOf<N extends Noun>(noun: N, record: RecordOf[N]): string {
  if ('name' in record) return record.name;
  if (noun === 'routes' && 'prefix' in record) return record.prefix || 'all numbers';
  return 'number' in record ? record.number : record.id;
}

interface Props {
  noun: Noun;
  id: string | null | undefined;
}

/** The name of a record, which leads to it. */
export function RecordLink({ noun, id }: Props) {
  const names = useNames(noun);
  const preload = usePreload();
  if (!id) return <span className="dim">{UNKNOWN}</span>;
  return (
    <Link
      to={`/${noun}/$id` as string}
      params={{ id } as never}
      onClick={(event) => event.stopPropagation()}
      {...preload(`/${noun}/${id}`)}
    >
      {names.get(id) ?? id}
    </Link>
  );
}

const NONE = new Map<string, string>();
