import { Anchor, Button, Checkbox, Group, Popover, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import type { Filters } from '../../api/records';
import type { CdrExport } from '../../api/types';
import { plural, time } from '../../parts/format';
import { StateBadge } from '../../parts/StateBadge';
import { cdrColumns } from './columns';
import { asQuery } from './period';

interface Props {
  filters: Filters;
  /** Keys of the columns that are shown. */
  chosen: string[];
}

/** What the filters let through as a file: written by control while one does something else, or at once. */
export function Exports({ filters, chosen }: Props) {
  const [open, setOpen] = useState(false);
  return (
    <Popover position="bottom-end" opened={open} onChange={setOpen} width={340}>
      <Popover.Target>
        <Button variant="default" onClick={() => setOpen(!open)}>
          CSV
        </Button>
      </Popover.Target>
      <Popover.Dropdown style={{ maxHeight: '60vh', overflow: 'auto' }}>
        <Choice filters={filters} chosen={chosen} />
      </Popover.Dropdown>
    </Popover>
  );
}

function Choice({ filters, chosen }: Props) {
  const client = useQueryClient();
  const [all, setAll] = useState(false);
  const asked = new URLSearchParams(asQuery(filters) as Record<string, string>);
  const order = useMutation({
    mutationFn: () => {
      const columns = all ? [] : csvColumns(chosen);
      const wish = { filter: asQuery(filters), columns };
      return body(api.POST('/v1/cdrs/exports', { body: wish as never }));
    },
    onSettled: () => client.invalidateQueries({ queryKey: ['cdr-exports'] }),
  });
  const { data } = useQuery({
    queryKey: ['cdr-exports'],
    queryFn: () => body(api.GET('/v1/cdrs/exports')),
    refetchInterval: 1000,
  });
  return (
    <Stack gap="xs">
      <Checkbox
        size="xs"
        label="all columns, not only those shown"
        checked={all}
        onChange={(event) => setAll(event.currentTarget.checked)}
      />
      <Group gap="xs">
        <Button size="xs" onClick={() => order.mutate()} loading={order.isPending}>
          Write a file
        </Button>
        <Anchor size="xs" href={`/v1/cdrs/export.csv?${asked}`} download="cdrs.csv">
          download all columns at once
        </Anchor>
      </Group>
      {order.error && (
        <Text size="xs" c="red" role="alert">
          {order.error.message}
        </Text>
      )}
      {data?.items.length === 0 && (
        <Text size="xs" c="dimmed">
          Files are written by control, and kept for seven days.
        </Text>
      )}
      {data?.items.map((file) => (
        <One key={file.id} file={file} />
      ))}
    </Stack>
  );
}

function One({ file }: { file: CdrExport }) {
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () =>
      body(api.DELETE('/v1/cdrs/exports/{id}', { params: { path: { id: file.id } } })),
    onSettled: () => client.invalidateQueries({ queryKey: ['cdr-exports'] }),
  });
  const ordered = time(file.created_us);
  return (
    <section aria-label={`export of ${ordered}`}>
      <Text size="xs">
        {ordered} · {file.by} <StateBadge state={file.state} />
      </Text>
      <Text size="xs" c="dimmed" role="status">
        {plural(file.rows, 'record')}
        {file.reached_us != null && `, back to ${time(file.reached_us)}`}
        {file.why}
      </Text>
      <Group gap="sm">
        {file.state === 'done' && (
          <Anchor size="xs" href={`/v1/cdrs/exports/${file.id}/file`} download>
            download
          </Anchor>
        )}
        <Anchor
          size="xs"
          component="button"
          aria-label={`remove the export of ${ordered}`}
          onClick={() => remove.mutate()}
        >
          remove
        </Anchor>
      </Group>
    </section>
  );
}

/** The columns of the file that have what is shown, after the call. */
function csvColumns(chosen: string[]): string[] {
  const shown = cdrColumns.filter(({ key }) => chosen.includes(key));
  return ['call', ...shown.map(({ csv }) => csv)];
}
