import { DataTable } from '../../parts/DataTable';

/** A record twice; nothing, where it was made or deleted. */
interface BeforeAndAfter {
  before?: unknown;
  after?: unknown;
}

interface Changed {
  field: string;
  before: unknown;
  after: unknown;
}

/** Fields that a change has changed, nested ones with dots. */
export function differences({ before, after }: BeforeAndAfter): Changed[] {
  const old = flat(before);
  const now = flat(after);
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((field) => JSON.stringify(old.get(field)) !== JSON.stringify(now.get(field)))
    .map((field) => ({ field, before: old.get(field), after: now.get(field) }));
}

/** What a record was before a change and is after it. */
export function Difference({ entry }: { entry: BeforeAndAfter }) {
  return (
    <DataTable
      fits
      label="Changed fields"
      columns={[
        { key: 'field', title: 'Field', cell: ({ field }) => field, kind: 'mono' },
        { key: 'before', title: 'Before', cell: ({ before }) => words(before), kind: 'mono' },
        { key: 'after', title: 'After', cell: ({ after }) => words(after), kind: 'mono' },
      ]}
      rows={differences(entry)}
      rowKey={({ field }) => field}
      empty="No field that may be shown has changed: a secret, perhaps."
    />
  );
}

function flat(value: unknown, path = '', into = new Map<string, unknown>()): Map<string, unknown> {
  if (value == null && path === '') return into;
  if (value != null && typeof value === 'object' && !Array.isArray(value)) {
    for (const [key, inner] of Object.entries(value))
      flat(inner, path ? `${path}.${key}` : key, into);
  } else {
    into.set(path, value);
  }
  return into;
}

const words = (value: unknown) => (value === undefined ? '' : JSON.stringify(value));
