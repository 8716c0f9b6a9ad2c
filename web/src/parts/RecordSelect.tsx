import { Select } from '@mantine/core';
import { useNames } from './names';
import type { Noun } from '../api/types';

interface Props {
  label: string;
  noun: Noun;
  value: string;
  onChange: (id: string) => void;
  error?: string;
  description?: string;
  required?: boolean;
  disabled?: boolean;
}

/** Chooses a record by its name. */
export function RecordSelect({ noun, value, onChange, ...props }: Props) {
  const names = useNames(noun);
  const data = [...names].map(([id, name]) => ({ value: id, label: name }));
  if (value && !names.has(value)) data.push({ value, label: value });
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
