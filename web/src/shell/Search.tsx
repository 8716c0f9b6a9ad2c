import { Spotlight, spotlight, type SpotlightActionGroupData } from '@mantine/spotlight';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { allRecords } from '../api/records';
import { isOpen, sessionQuery } from '../api/session';
import type { Noun } from '../api/types';
import { nameOf } from '../parts/names';
import { places } from './places';

/** Pages, records by name or identifier, calls by identifier, calls of a number. */
export function Search() {
  const navigate = useNavigate();
  const [query, setQuery] = useState('');
  // It comes when somebody asks for it.
  useEffect(() => spotlight.open(), []);
  const { data: session } = useQuery(sessionQuery);
  const { data: records } = useQuery({
    queryKey: ['search'],
    queryFn: () => everything(NOUNS.filter((noun) => isOpen(session, noun))),
    enabled: query !== '',
    staleTime: 30_000,
  });
  const go = (to: string, search: Record<string, string> = {}) =>
    void navigate({ to: to as '/', search: search as never });
  const typed = query.trim().toLowerCase();
  const matches = (text: string) => text.toLowerCase().includes(typed);
  const groups: SpotlightActionGroupData[] = [
    {
      group: 'Pages',
      actions: places
        .flatMap((group) => group.places)
        .filter(({ title, area }) => isOpen(session, area) && matches(title))
        .map(({ path, title }) => ({ id: path, label: title, onClick: () => go(path) })),
    },
  ];
  if (typed) {
    const found = (records ?? []).filter(
      ({ name, id }) => matches(name) || id.toLowerCase() === typed,
    );
    groups.push({
      group: 'Records',
      actions: found.slice(0, FOUND_MAX).map(({ noun, name, id }) => ({
        id,
        label: name,
        description: noun === 'people' ? 'person' : noun.replace('-', ' ').replace(/s$/, ''),
        onClick: () => go(`/${noun}/${id}`),
      })),
    });
    groups.push({ group: 'Calls', actions: callActions(query.trim(), go) });
  }
  return (
    <Spotlight
      actions={groups.filter(({ actions }) => actions.length > 0)}
      query={query}
      onQueryChange={setQuery}
      filter={(_, all) => all}
      shortcut="mod + K"
      nothingFound="Nothing of that name"
      searchProps={{ 'aria-label': 'Search everywhere' }}
      attributes={{ content: { 'aria-label': 'Search' } }}
      scrollable
      maxHeight="60vh"
    />
  );
}

function callActions(typed: string, go: (to: string, search?: Record<string, string>) => void) {
  if (typed.startsWith('call_')) {
    return [{ id: 'call', label: `Call ${typed}`, onClick: () => go(`/calls/${typed}`) }];
  }
  return [
    { id: 'live', label: `Live calls of ${typed}`, onClick: () => go('/calls', { caller: typed }) },
    {
      id: 'live-to',
      label: `Live calls to ${typed}`,
      onClick: () => go('/calls', { called: typed }),
    },
    {
      id: 'cdrs',
      label: `CDRs of calls from ${typed}`,
      onClick: () => go('/cdrs', { caller: typed }),
    },
    {
      id: 'cdrs-to',
      label: `CDRs of calls to ${typed}`,
      onClick: () => go('/cdrs', { called: typed }),
    },
  ];
}

async function everything(nouns: Noun[]) {
  const lists = await Promise.all(
    nouns.map(async (noun) => {
      const records = await allRecords(noun);
      return records.map((record) => ({ noun, id: record.id, name: nameOf(noun, record) }));
    }),
  );
  return lists.flat();
}

const NOUNS: Noun[] = [
  'users',
  'devices',
  'numbers',
  'customers',
  'carriers',
  'gateways',
  'routes',
  'media-servers',
  'servers',
  'zones',
  'clusters',
  'certificates',
  'people',
  'accounts',
];
const FOUND_MAX = 20;
