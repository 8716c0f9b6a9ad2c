import { Button, Select, TextInput } from '@mantine/core';
import { useEffect, useState, type ReactNode } from 'react';
import { useFilters } from './filters';
import { RecordSelect } from './RecordSelect';
import type { Noun } from '../api/types';

/** A filter of a list, as the API has it. */
export interface Filter {
  name: string;
  label: string;
  /** Accepted values, where there are few. */
  options?: { value: string; label: string }[];
  /** Records of which one is chosen. */
  of?: Noun;
}

interface Props {
  filters: Filter[];
  /** What stands at the end of the line. */
  children?: ReactNode;
}

/** Filters of a list; `/` leads to the first. */
export function FilterBar({ filters, children }: Props) {
  const [values, change] = useFilters();
  const used = filters.some(({ name }) => values[name]);
  return (
    <div className="filters" role="search">
      {filters.map((filter) => (
        <FilterInput
          key={filter.name}
          filter={filter}
          value={values[filter.name] ?? ''}
          onChange={(value) => change({ [filter.name]: value })}
        />
      ))}
      {used && (
        <Button
          variant="subtle"
          style={{ flex: '0 0 auto', minWidth: 0 }}
          onClick={() => change(Object.fromEntries(filters.map(({ name }) => [name, ''])))}
        >
          Clear
        </Button>
      )}
      <div className="rest">{children}</div>
    </div>
  );
}

interface InputProps {
  filter: Filter;
  value: string;
  onChange: (value: string) => void;
}

function FilterInput({ filter, value, onChange }: InputProps) {
  if (filter.of) {
    return <RecordSelect label={filter.label} noun={filter.of} value={value} onChange={onChange} />;
  }
  if (filter.options) {
    return (
      <Select
        label={filter.label}
        data={[{ value: '', label: 'all' }, ...filter.options]}
        value={value}
        onChange={(chosen) => onChange(chosen ?? '')}
        allowDeselect={false}
      />
    );
  }
  return <TextFilter filter={filter} value={value} onChange={onChange} />;
}

/** Asks when typing pauses, and at Enter. */
function TextFilter({ filter, value, onChange }: InputProps) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed === value) return;
    const timer = setTimeout(() => onChange(typed.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  });
  return (
    <TextInput
      data-filter
      label={filter.label}
      value={typed}
      onChange={(event) => setTyped(event.currentTarget.value)}
      onKeyDown={(event) => event.key === 'Enter' && onChange(typed.trim())}
    />
  );
}

const PAUSE_MS = 400;
