import { api, body } from '../../api/client';
import { Refusal, words } from '../../api/problem';
import { readRecord } from '../../api/records';
import type { DispatchTarget, ServerHealth } from '../../api/types';

/**
 * Changes the targets that control has for a dispatcher; those it has by itself, if control has none. Refused
 * where somebody else has changed them in between.
 */
export async function changeTargets(
  { server: id, name, report }: ServerHealth,
  change: (targets: DispatchTarget[]) => DispatchTarget[],
): Promise<void> {
  const { value: server, etag } = await readRecord('servers', id);
  const set = server.dispatching ?? report?.dispatcher?.set;
  if (!set) throw new Error(`${name} has not said what its targets are: try again once it is heard`);
  const dispatching = { ...set, targets: change(set.targets ?? []) };
  const params = { path: { id }, header: { 'If-Match': etag } };
  await body(api.PATCH('/v1/servers/{id}', { params, body: { dispatching } }));
}

/** What is wrong with a set, without the places in it. */
export function wrongWith(error: unknown): string {
  const messages = error instanceof Refusal ? [...error.fields.values()] : [];
  return messages.length > 0 ? messages.join('; ') : words(error);
}
