import type { ComponentType } from 'react';
import type { Noun, RecordOf } from '../api/types';
import type { Column } from '../parts/DataTable';
import type { Filter } from '../parts/FilterBar';
import type { Draft, Field, PathOf } from './field';

/** How records of a kind are shown and written. */
export interface Kind<N extends Noun, Extra extends string = never> {
  noun: N;
  /** "user" */
  one: string;
  /** "Users" */
  title: string;
  /** What there is where there are none, and what they are for. */
  about: string;
  columns: Column<RecordOf[N]>[];
  filters: Filter[];
  fields: Field<PathOf<RecordOf[N]> | Extra>[];
  /** What a new record begins as. */
  fresh: Draft;
  /** The draft of a record that is there, where that is not the record itself. */
  open?: (record: RecordOf[N]) => Draft;
  /** The draft as the API takes it, where that is not the same. */
  finish?: (draft: Draft) => Draft;
  /** What is shown beside the form of a record. */
  Beside?: ComponentType<{ record: RecordOf[N] }>;
  /** What stands below both, over the whole width: tables and graphs. */
  Below?: ComponentType<{ record: RecordOf[N] }>;
  /** What stands above the list. */
  Above?: ComponentType;
  /** Topics of events that change what is shown, beside the kind's own. */
  topics?: string;
}
