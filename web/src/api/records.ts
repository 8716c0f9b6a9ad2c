import { api, body, tagged } from './client';
import type { Noun, Page, RecordOf } from './types';

/** Filters of a list, as in its query. */
export type Filters = Record<string, string | undefined>;

// All kinds have the same paths but for the noun; one of them stands for all to the typed client.
const collection = (noun: Noun) => `/v1/${noun}` as '/v1/users';
const item = (noun: Noun) => `/v1/${noun}/{id}` as '/v1/users/{id}';

export async function listRecords<N extends Noun>(
  noun: N,
  filters: Filters,
  cursor?: string,
  limit = 100,
): Promise<Page<RecordOf[N]>> {
  const query = { ...filters, cursor, limit };
  const page = await body(api.GET(collection(noun), { params: { query } }));
  return page as unknown as Page<RecordOf[N]>;
}

/** All records of a kind, for choosing among them; at most 5,000. */
export async function allRecords<N extends Noun>(noun: N): Promise<RecordOf[N][]> {
  const items: RecordOf[N][] = [];
  let cursor: string | undefined;
  do {
    const page = await listRecords(noun, {}, cursor, 500);
    items.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor && items.length < 5000);
  return items;
}

export function readRecord<N extends Noun>(noun: N, id: string) {
  const answer = tagged(api.GET(item(noun), { params: { path: { id } } }));
  return answer as unknown as Promise<{ value: RecordOf[N]; etag: string }>;
}

export function createRecord(noun: Noun, record: object) {
  const key = crypto.getRandomValues(new Uint32Array(4)).join('-');
  const params = { header: { 'Idempotency-Key': key } };
  return body(api.POST(collection(noun), { params, body: record as never }));
}

export function replaceRecord(noun: Noun, id: string, etag: string, record: object) {
  const params = { path: { id }, header: { 'If-Match': etag } };
  return body(api.PUT(item(noun), { params, body: record as never }));
}

export function deleteRecord(noun: Noun, id: string, etag?: string) {
  const params = { path: { id }, header: etag ? { 'If-Match': etag } : {} };
  return body(api.DELETE(item(noun), { params }));
}
