import { NumberInput, PasswordInput, Select, Switch, Textarea, TextInput } from '@mantine/core';
import { JsonInput } from '../parts/JsonInput';
import { RecordSelect } from '../parts/RecordSelect';
import { RecordsSelect } from '../parts/RecordsSelect';
import type { Field } from './field';

interface Props {
  field: Field;
  value: unknown;
  onChange: (value: unknown) => void;
  error?: string;
  disabled?: boolean;
}

/** The input of one field. */
export function FieldInput({ field, value, onChange, error, disabled }: Props) {
  const { label, help, required, empty, input } = field;
  const common = { label, description: help, required, error, disabled, name: field.path };
  const text = typeof value === 'string' ? value : '';
  const orEmpty = (typed: string) => onChange(typed === '' ? empty : typed);
  switch (input.kind) {
    case 'switch':
      return (
        <Switch
          label={label}
          description={help}
          error={error}
          disabled={disabled}
          name={field.path}
          checked={value === true}
          onChange={(event) => onChange(event.currentTarget.checked)}
          style={{ alignSelf: 'center' }}
        />
      );
    case 'number':
      return (
        <NumberInput
          {...common}
          value={typeof value === 'number' ? value : ''}
          onChange={(typed) => onChange(typed === '' ? empty : Number(typed))}
          min={input.min ?? 0}
          max={input.max}
          clampBehavior="none"
          allowDecimal={input.decimal ?? false}
          hideControls
        />
      );
    case 'choice':
      return (
        <Select
          {...common}
          data={input.options}
          value={text || null}
          onChange={(chosen) => orEmpty(chosen ?? '')}
          clearable={!required && empty === null}
          allowDeselect={false}
        />
      );
    case 'record':
      return (
        <RecordSelect
          {...common}
          noun={input.of}
          by={input.by}
          value={text}
          onChange={orEmpty}
        />
      );
    case 'records':
      return (
        <RecordsSelect
          {...common}
          noun={input.of}
          value={Array.isArray(value) ? (value as string[]) : []}
          onChange={onChange}
        />
      );
    case 'password':
      return (
        <PasswordInput
          {...common}
          autoComplete="new-password"
          value={text}
          onChange={(event) => orEmpty(event.currentTarget.value)}
        />
      );
    case 'lines':
      return (
        <Textarea
          {...common}
          autosize
          minRows={2}
          classNames={{ input: 'mono' }}
          value={Array.isArray(value) ? value.join('\n') : ''}
          onChange={(event) => onChange(lines(event.currentTarget.value))}
        />
      );
    case 'json':
      return <JsonInput {...common} value={value} onChange={onChange} />;
    case 'pem':
      return (
        <Textarea
          {...common}
          autosize
          minRows={3}
          maxRows={12}
          spellCheck={false}
          autoComplete="off"
          classNames={{ input: 'mono' }}
          style={{ gridColumn: '1 / -1' }}
          value={text}
          onChange={(event) => orEmpty(event.currentTarget.value)}
        />
      );
    case 'text':
      return (
        <TextInput
          {...common}
          classNames={input.mono ? { input: 'mono' } : undefined}
          value={text}
          onChange={(event) => orEmpty(event.currentTarget.value)}
        />
      );
  }
}

/** One value a line; a last empty line is where the next is typed. */
function lines(text: string): string[] {
  return text === '' ? [] : text.split('\n').map((line) => line.trim());
}
