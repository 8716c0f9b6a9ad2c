import { Select } from '@mantine/core';
import { useNames } from './names';
import type { Noun } from '../api/types';

interface Props {
  label: string;
  noun: Noun;
  /** What a record is named by: its identifier, or its name. */
  by?: 'id' | 'name';
  value: string;
  onChange: (id: string) => void;
  error?: string;
  description?: string;
  required?: boolean;
  disabled?: boolean;
}

/** Chooses a record by its name. */
export function RecordSelect({ noun, by = 'id', value, onChange, ...props }: Props) {
  const names = useNames(noun);
  const data = [...names].map(([id, name]) => ({ value: by === 'id' ? id : name, label: name }));
  if (value && !data.some((known) => known.value === value)) data.push({ value, label: value });
  return (
    <Select
      {...props}
      data={data}
      value={value || null}
      onChange={(chosen) => onChange(chosen ?? '')}
      searchable
      clearable={!props.required}
      nothingFoundMessage="none of that name"
      limit={200}
    />
  );
}
