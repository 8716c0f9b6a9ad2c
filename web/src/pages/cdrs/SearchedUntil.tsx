import { Button, Group, Loader } from '@mantine/core';
import { useEffect, useState } from 'react';
import { time } from '../../parts/format';
import type { Listed } from '../../parts/ListPage';

/** How far a search has come that had no time to look at everything. It goes on a while by itself. */
export function SearchedUntil({ untilUs, list }: { untilUs: number; list: Listed }) {
  const [allowed, allow] = useState(PAGES_BY_ITSELF);
  const { pages, isFetching, hasFailed, more } = list;
  // What is refused once is refused again: nobody but a person asks then.
  const goesOn = pages < allowed && !hasFailed;
  useEffect(() => {
    if (goesOn && !isFetching) more();
  }, [goesOn, isFetching, more]);
  const goOn = () => {
    allow(pages + PAGES_BY_ITSELF);
    more();
  };
  return (
    <Group gap="sm" role="status">
      {goesOn && <Loader size="xs" />}
      <span>Searched back to {time(untilUs)}.</span>
      {!goesOn && (
        <Button size="xs" variant="default" loading={isFetching} onClick={goOn}>
          Search on
        </Button>
      )}
    </Group>
  );
}

/** Each is about a fifth of a second. */
const PAGES_BY_ITSELF = 20;
