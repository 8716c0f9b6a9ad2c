import { NumberInput, Switch } from '@mantine/core';
import { useState, type ReactNode } from 'react';
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

interface Wish {
  drain: boolean;
  longest_wait_s: number | null;
}

/** Asks whether the calls of a server are waited for before it begins anew. */
export function Restart(props: Props) {
  const params = { path: { id: props.record.id } };
  return (
    <CallsFirst
      {...props}
      action="Restart"
      back="it takes new ones when it is back"
      send={(wish) => body(api.POST('/v1/servers/{id}/restart', { params, body: wish }))}
    >
      Its process begins anew, with the program on its disk.
    </CallsFirst>
  );
}

/** The same before its SIP is closed. */
export function Stop(props: Props) {
  const params = { path: { id: props.record.id } };
  return (
    <CallsFirst
      {...props}
      action="Stop"
      back="then it is closed"
      send={(wish) => body(api.POST('/v1/servers/{id}/stop', { params, body: wish }))}
    >
      Its listeners are closed and its registrations at carriers given up until it is started.
    </CallsFirst>
  );
}

interface CallsFirstProps extends Props {
  action: string;
  /** What follows the last call. */
  back: string;
  send: (wish: Wish) => Promise<unknown>;
  children: ReactNode;
}

function CallsFirst({ record, calls, one, begin, action, back, send, children }: CallsFirstProps) {
  const [drain, setDrain] = useState(true);
  const [wait, setWait] = useState<string | number>('');
  const { id, name, role } = record;
  const wish: Wish = { drain, longest_wait_s: drain && wait !== '' ? Number(wait) : null };
  return (
    <Confirm
      action={action}
      question={`${action} ${name}?`}
      onConfirm={() => begin(send(wish))}
      wish={{ method: 'POST', path: `/v1/servers/${id}/${action.toLowerCase()}`, body: wish }}
    >
      {children} {fate({ drain, calls, one, role, back })}
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

interface Fate {
  drain: boolean;
  calls: number | undefined;
  one: string;
  role: Server['role'];
  back: string;
}

function fate({ drain, calls, one, role, back }: Fate) {
  const all = calls == null ? `The ${one}s that it has` : `The ${plural(calls, one)} that it has`;
  if (calls === 0) return `It has no ${one}s.`;
  if (drain) return `${all} go on to their end first; ${back}.`;
  return role === 'dispatcher' ? `${all} go on without it.` : `${all} end.`;
}
