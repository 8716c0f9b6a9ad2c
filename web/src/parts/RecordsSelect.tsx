import { MultiSelect } from '@mantine/core';
import { useNames } from './names';
import type { Noun } from '../api/types';

interface Props {
  label: string;
  noun: Noun;
  value: string[];
  onChange: (ids: string[]) => void;
  error?: string;
  description?: string;
  required?: boolean;
  disabled?: boolean;
}

/** Chooses records by their names. */
export function RecordsSelect({ noun, value, onChange, ...props }: Props) {
  const names = useNames(noun);
  const data = [...names].map(([id, name]) => ({ value: id, label: name }));
  const unknown = value.filter((id) => !names.has(id));
  return (
    <MultiSelect
      {...props}
      data={[...data, ...unknown.map((id) => ({ value: id, label: id }))]}
      value={value}
      onChange={onChange}
      searchable
      clearable
      nothingFoundMessage="none of that name"
      limit={200}
    />
  );
}
