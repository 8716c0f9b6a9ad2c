import { Button, Group, NumberInput, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { words } from '../../api/problem';
import { useMay } from '../../api/session';
import type { Server, ServerHealth } from '../../api/types';
import { AsCommand } from '../../parts/AsCommand';
import { Confirm } from '../../parts/Confirm';
import { plural, time } from '../../parts/format';
import { Restart, Stop } from './Restart';

interface Props {
  record: Server;
  health: ServerHealth | undefined;
}

/** Drain, resize, flush, restart, stop and revoke: each is a task, but for the last. */
export function ServerActions({ record, health }: Props) {
  const client = useQueryClient();
  const mayAct = useMay('operator');
  const mayRevoke = useMay('admin');
  const [error, setError] = useState<unknown>(null);
  if (!mayAct) return null;
  const params = { params: { path: { id: record.id } } };
  const wish = (action: string) => ({ method: 'POST', path: `/v1/servers/${record.id}/${action}` });
  const begin = async (action: Promise<unknown>) => {
    setError(null);
    await action;
    await client.invalidateQueries({ queryKey: ['servers'] });
    await client.invalidateQueries({ queryKey: ['tasks'] });
  };
  const attempt = (action: Promise<unknown>) => void begin(action).catch(setError);
  const calls = health?.report?.channels;
  const { role = 'switch' } = record;
  const one = role === 'media' ? 'session' : 'call';
  const affected = calls == null ? `How many ${one}s it has is not known.` : has(calls, one);
  return (
    <>
      <Group mt="sm" gap="xs">
        {record.draining ? (
          <Button
            variant="default"
            onClick={() => attempt(body(api.POST('/v1/servers/{id}/resume', params)))}
          >
            Take {one}s again
          </Button>
        ) : (
          <Confirm
            action="Drain"
            question={`Drain ${record.name}?`}
            onConfirm={() => begin(body(api.POST('/v1/servers/{id}/drain', params)))}
            wish={wish('drain')}
          >
            It takes no new {one}s from then on
            {role === 'dispatcher' &&
              ': whoever sends it some gets 503, and so do registrations and OPTIONS to itself'}
            . {affected}
          </Confirm>
        )}
        <Button
          variant="default"
          onClick={() => attempt(body(api.POST('/v1/servers/{id}/flush', params)))}
        >
          Flush
        </Button>
        {health?.address != null && (
          <Restart record={record} calls={calls} one={one} begin={begin} />
        )}
        {health?.report?.update != null && (
          <Confirm
            action="Run update"
            question={`Update ${record.name} from ${health.report.version} to ${health.report.update.version}?`}
            onConfirm={() => begin(body(api.POST('/v1/servers/{id}/update', params)))}
            wish={wish('update')}
          >
            It is drained, begins anew with the program on its disk (
            {health.report.update.running_build} becomes {health.report.update.build}) and takes{' '}
            {one}s again. {affected}
          </Confirm>
        )}
        {record.stopped != null && (
          <Button
            variant="default"
            onClick={() => attempt(body(api.POST('/v1/servers/{id}/start', params)))}
          >
            Start
          </Button>
        )}
        {record.stopped == null && role === 'switch' && health?.address != null && (
          <Stop record={record} calls={calls} one={one} begin={begin} />
        )}
        {mayRevoke && record.certificate && record.revoked_us == null && (
          <Confirm
            action="Revoke"
            question={`Refuse the node of ${record.name} from now on?`}
            onConfirm={() => begin(body(api.POST('/v1/servers/{id}/revoke', params)))}
            wish={wish('revoke')}
          >
            Its line ends at once. It goes on with the configuration it has until it is stopped; a
            machine can join as this server with a new token.
          </Confirm>
        )}
      </Group>
      {record.stopped != null && (
        <Text size="sm" mt="sm">
          Stopped {time(record.stopped.at_us)} by {record.stopped.by}.
        </Text>
      )}
      {role === 'switch' && <Resize record={record} onResize={(action) => attempt(action)} />}
      {error != null && (
        <Text size="xs" c="red" role="alert">
          {words(error)}
        </Text>
      )}
    </>
  );
}

const has = (calls: number, one: string) =>
  calls ? `The ${plural(calls, one)} that it has go on to their end.` : `It has no ${one}s.`;

function Resize({ record, onResize }: { record: Server; onResize: (a: Promise<unknown>) => void }) {
  const [channels, setChannels] = useState<string | number>(record.limits?.channels ?? '');
  const [cps, setCps] = useState<string | number>(record.limits?.cps ?? '');
  const figure = (value: string | number) => (value === '' ? null : Number(value));
  const size = { channels: figure(channels), cps: figure(cps) };
  const resize = () => {
    const params = { path: { id: record.id } };
    onResize(body(api.POST('/v1/servers/{id}/resize', { params, body: size })));
  };
  return (
    <>
      <Group mt="sm" gap="xs" align="flex-end">
        <NumberInput
          label="Allowed channels"
          hideControls
          description="empty: as set"
          min={0}
          max={100_000_000}
          allowDecimal={false}
          value={channels}
          onChange={setChannels}
          w={130}
        />
        <NumberInput
          label="Allowed CPS"
          hideControls
          description="empty: as set"
          min={0}
          max={1_000_000}
          allowDecimal={false}
          value={cps}
          onChange={setCps}
          w={110}
        />
        <Button variant="default" onClick={resize}>
          Resize
        </Button>
      </Group>
      <AsCommand wish={{ method: 'POST', path: `/v1/servers/${record.id}/resize`, body: size }} />
    </>
  );
}
