import type { Noun } from '../api/types';

/** A field of a form. `path` is the field as in JSON, nested ones with dots. */
export interface Field<P extends string = string> {
  path: P;
  label: string;
  help?: string;
  input:
    | { kind: 'text'; mono?: boolean }
    | { kind: 'number'; min?: number; max?: number; decimal?: boolean }
    | { kind: 'switch' }
    | { kind: 'choice'; options: string[] }
    | { kind: 'record'; of: Noun; by?: 'id' | 'name' }
    | { kind: 'records'; of: Noun }
    | { kind: 'password' }
    | { kind: 'lines' }
    | { kind: 'json' }
    | { kind: 'pem' };
  required?: boolean;
  /** What an empty field stands for: null, an empty text, none, or nothing at all. */
  empty?: null | '' | 0 | undefined;
  /** The heading it stands under, if it is the first there. */
  section?: string;
  /** Whether it is shown. */
  when?: (draft: Draft) => boolean;
}

/** The paths that an object of the API has, so that a form has no field that the API has not. */
export type PathOf<T> = T extends readonly unknown[]
  ? never
  : T extends object
    ? { [K in keyof T & string]-?: K | `${K}.${PathOf<NonNullable<T[K]>>}` }[keyof T & string]
    : never;

/** Fields that several forms share, each with its path as its type. */
export function fieldOf<P extends string>(field: Field<P>): Field<P> {
  return field;
}

export function fieldsOf<P extends string>(...fields: Field<P>[]): Field<P>[] {
  return fields;
}

/** A record as it is being written. */
export type Draft = Record<string, unknown>;

export function valueAt(draft: Draft, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Draft | null)?.[key], draft);
}

export function withValue(draft: Draft, path: string, value: unknown): Draft {
  const [key = '', ...rest] = path.split('.');
  if (rest.length === 0) {
    const { [key]: _, ...others } = draft;
    return value === undefined ? others : { ...draft, [key]: value };
  }
  const inner = (draft[key] as Draft | null | undefined) ?? {};
  return { ...draft, [key]: withValue(inner, rest.join('.'), value) };
}

/** What is wrong with a field: the API names parts of it, too, as `auth.networks[0]`. */
export function complaint(errors: Map<string, string>, path: string): string | undefined {
  for (const [field, message] of errors) {
    if (field === path || field.startsWith(`${path}[`) || field.startsWith(`${path}.`)) {
      return message;
    }
  }
  return undefined;
}
