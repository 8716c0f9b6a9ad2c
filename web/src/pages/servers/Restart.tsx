import { NumberInput, Switch } from '@mantine/core';
import { useState } from 'react';
import { api, body } from '../../api/client';
import type { Server } from '../../api/types';
import { Confirm } from '../../parts/Confirm';
import { plural } from '../../parts/format';

/** Seconds that calls may be waited for at most: a day. */
const LONGEST_WAIT_S = 86_400;

interface Props {
  record: Server;
  /** Calls that it has, as far as that is known. */
  calls: number | undefined;
  /** What it has: "call", "session". */
  one: string;
  begin: (action: Promise<unknown>) => Promise<unknown>;
}

/** Asks whether the calls of a server are waited for before it begins anew. */
export function Restart({ record, calls, one, begin }: Props) {
  const [drain, setDrain] = useState(true);
  const [wait, setWait] = useState<string | number>('');
  const { id, name, role } = record;
  const wish = { drain, longest_wait_s: drain && wait !== '' ? Number(wait) : null };
  const restart = () =>
    begin(body(api.POST('/v1/servers/{id}/restart', { params: { path: { id } }, body: wish })));
  return (
    <Confirm
      action="Restart"
      question={`Restart ${name}?`}
      onConfirm={restart}
      wish={{ method: 'POST', path: `/v1/servers/${id}/restart`, body: wish }}
    >
      Its process begins anew, with the program on its disk. {fate(drain, calls, one, role)}
      <Switch
        mt="sm"
        label={`Drain it first: no new ${one}s, and those that it has are waited for`}
        checked={drain}
        onChange={(event) => setDrain(event.currentTarget.checked)}
      />
      {drain && (
        <NumberInput
          mt="sm"
          label="Longest wait in seconds"
          description={`empty: until the last ${one} is over`}
          hideControls
          min={1}
          max={LONGEST_WAIT_S}
          allowDecimal={false}
          value={wait}
          onChange={setWait}
          w={260}
        />
      )}
    </Confirm>
  );
}

function fate(drain: boolean, calls: number | undefined, one: string, role: Server['role']) {
  const all = calls == null ? `The ${one}s that it has` : `The ${plural(calls, one)} that it has`;
  if (calls === 0) return `It has no ${one}s.`;
  if (drain) return `${all} go on to their end first; it takes new ones when it is back.`;
  return role === 'dispatcher' ? `${all} go on without it.` : `${all} end.`;
}
