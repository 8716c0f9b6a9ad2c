import { Button, Checkbox, Popover, Stack } from '@mantine/core';

interface Props {
  columns: { key: string; title: string }[];
  chosen: string[];
  onChange: (chosen: string[]) => void;
}

/** Which columns a table has. */
export function ColumnChoice({ columns, chosen, onChange }: Props) {
  const turn = (key: string, on: boolean) =>
    onChange(
      columns.map((column) => column.key).filter((k) => (k === key ? on : chosen.includes(k))),
    );
  return (
    <Popover position="bottom-end">
      <Popover.Target>
        <Button variant="default">Columns</Button>
      </Popover.Target>
      <Popover.Dropdown style={{ maxHeight: '60vh', overflow: 'auto' }}>
        <Stack gap={6}>
          {columns.map(({ key, title }) => (
            <Checkbox
              key={key}
              size="xs"
              label={title}
              checked={chosen.includes(key)}
              onChange={(event) => turn(key, event.currentTarget.checked)}
            />
          ))}
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
