import { Alert, Button, Group, Title } from '@mantine/core';
import { useState, type FormEvent, type ReactNode } from 'react';
import { Refusal, words } from '../api/problem';
import { AsCommand, type Wish } from '../parts/AsCommand';
import { complaint, valueAt, withValue, type Draft, type Field } from './field';
import { FieldInput } from './FieldInput';

interface Props {
  fields: Field[];
  initial: Draft;
  /** What the button says: "Create user". */
  action: string;
  /** The request that the draft stands for. */
  wish: (draft: Draft) => Wish;
  onSubmit: (draft: Draft) => Promise<unknown>;
  readOnly?: boolean;
  /** What stands beside the button. */
  children?: ReactNode;
}

/** A form of a record; what the API refuses stands at the field it is about. */
export function RecordForm(props: Props) {
  const { fields, initial, action, wish, onSubmit, readOnly, children } = props;
  const [draft, setDraft] = useState(initial);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const shown = fields.filter((field) => field.when?.(draft) ?? true);
  const complaints = error instanceof Refusal ? error.fields : new Map<string, string>();
  const unplaced = unplacedWords(error, complaints, shown);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      demand(shown, draft);
      await onSubmit(tidied(draft));
    } catch (failure) {
      setError(failure);
    }
    setBusy(false);
  };
  return (
    <form onSubmit={(event) => void submit(event)} noValidate aria-label={action}>
      <div className="fields">
        {shown.map((field) => (
          <FieldWithHeading key={field.path} field={field}>
            <FieldInput
              field={field}
              value={valueAt(draft, field.path)}
              onChange={(value) => setDraft((old) => withValue(old, field.path, value))}
              error={complaint(complaints, field.path)}
              disabled={readOnly}
            />
          </FieldWithHeading>
        ))}
      </div>
      {unplaced && (
        <Alert color="red" mt="md" role="alert">
          {unplaced}
        </Alert>
      )}
      <Group mt="md" justify="space-between" align="flex-start">
        <AsCommand wish={wish(tidied(draft))} />
        <Group>
          {children}
          {!readOnly && (
            <Button type="submit" loading={busy}>
              {action}
            </Button>
          )}
        </Group>
      </Group>
    </form>
  );
}

function FieldWithHeading({ field, children }: { field: Field; children: ReactNode }) {
  if (!field.section) return children;
  return (
    <>
      <Title order={3} style={{ gridColumn: '1 / -1' }} mt="xs">
        {field.section}
      </Title>
      {children}
    </>
  );
}

/** What cannot be shown at a field. */
function unplacedWords(error: unknown, complaints: Map<string, string>, shown: Field[]) {
  if (error == null) return null;
  const rest = [...complaints].filter(
    ([field, message]) =>
      !shown.some(({ path }) => complaint(new Map([[field, message]]), path) !== undefined),
  );
  if (complaints.size === 0) return words(error);
  return rest.map(([field, message]) => `${field}: ${message}`).join('; ') || null;
}

/** Refuses a draft that lacks what is required, all of it at once. */
function demand(fields: Field[], draft: Draft): void {
  const missing = fields.filter(({ path, required }) => {
    const value = valueAt(draft, path);
    return required && (value === undefined || value === null || value === '');
  });
  if (missing.length === 0) return;
  throw new Refusal({
    type: 'about:blank',
    title: 'Something is missing',
    status: 422,
    code: 'invalid',
    detail: missing.map(({ label }) => label).join(', '),
    errors: missing.map(({ path }) => ({ field: path, message: 'this is needed' })),
  });
}

/** Without lines that were left empty. */
function tidied(draft: Draft): Draft {
  return Object.fromEntries(
    Object.entries(draft).map(([key, value]) => {
      if (Array.isArray(value)) return [key, value.filter((line) => line !== '')];
      if (value && typeof value === 'object') return [key, tidied(value as Draft)];
      return [key, value];
    }),
  );
}
