import { Button, Group, NumberInput, Popover, Text } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { words } from '../../api/problem';
import { useMay } from '../../api/session';
import type { ServerHealth, TargetReport } from '../../api/types';
import { Confirm } from '../../parts/Confirm';
import { plural } from '../../parts/format';
import { changeTargets } from './set';

interface Props {
  server: ServerHealth;
  target: TargetReport;
}

/** Drain, resume and weigh a target, with calls up: each is a task of its dispatcher; and remove it. */
export function TargetActions({ server, target }: Props) {
  const client = useQueryClient();
  const mayAct = useMay('operator');
  const [error, setError] = useState<unknown>(null);
  if (!mayAct) return null;
  const params = { params: { path: { id: server.server, target: target.record } } };
  const begin = async (action: Promise<unknown>) => {
    setError(null);
    await action;
    await client.invalidateQueries({ queryKey: ['servers'] });
    await client.invalidateQueries({ queryKey: ['tasks'] });
  };
  const isDrained = target.state === 'draining' || target.state === 'drained';
  const others = (known: { name: string }) => known.name !== target.record;
  const remove = () => begin(changeTargets(server, (targets) => targets.filter(others)));
  const resume = () => begin(body(api.POST('/v1/servers/{id}/targets/{target}/resume', params)));
  return (
    <Group gap={4} wrap="nowrap">
      {isDrained ? (
        <Button
          size="compact-xs"
          variant="subtle"
          aria-label={`Resume ${target.name}`}
          onClick={() => void resume().catch(setError)}
        >
          Resume
        </Button>
      ) : (
        <Confirm
          compact
          action="Drain"
          label={`Drain ${target.name}`}
          question={`Drain ${target.record} at ${server.name}?`}
          onConfirm={() => begin(body(api.POST('/v1/servers/{id}/targets/{target}/drain', params)))}
        >
          It gets no new calls from this dispatcher from then on.{' '}
          {target.calls
            ? `The ${plural(target.calls, 'call')} that it has go on to their end.`
            : 'It has no calls from here.'}
        </Confirm>
      )}
      <Weight
        target={target}
        onWeigh={(weight) =>
          begin(
            body(api.PATCH('/v1/servers/{id}/targets/{target}', { ...params, body: { weight } })),
          )
        }
      />
      <Confirm
        compact
        action="Remove"
        label={`Remove ${target.name}`}
        question={`Remove ${target.record} from ${server.name}?`}
        onConfirm={remove}
      >
        It gets no calls from this dispatcher any more.{' '}
        {target.calls
          ? `The ${plural(target.calls, 'call')} that it has go on to their end.`
          : 'It has no calls from here.'}
      </Confirm>
      {error != null && (
        <Text size="xs" c="red" role="alert">
          {words(error)}
        </Text>
      )}
    </Group>
  );
}

interface WeightProps {
  target: TargetReport;
  onWeigh: (weight: number) => Promise<unknown>;
}

function Weight({ target, onWeigh }: WeightProps) {
  const [open, setOpen] = useState(false);
  const [weight, setWeight] = useState<string | number>(target.weight);
  const [error, setError] = useState<unknown>(null);
  const set = () => {
    setError(null);
    onWeigh(Number(weight)).then(() => setOpen(false), setError);
  };
  return (
    <Popover opened={open} onChange={setOpen} withinPortal trapFocus>
      <Popover.Target>
        <Button
          size="compact-xs"
          variant="subtle"
          aria-label={`Weight of ${target.name}`}
          onClick={() => {
            setWeight(target.weight);
            setOpen(!open);
          }}
        >
          Weight
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <NumberInput
          label="Weight"
          description="1 to 1,000; for the calls that begin from then on"
          min={1}
          max={1000}
          allowDecimal={false}
          value={weight}
          onChange={setWeight}
        />
        {error != null && (
          <Text size="xs" c="red" role="alert">
            {words(error)}
          </Text>
        )}
        <Button mt="xs" onClick={set} disabled={weight === ''}>
          Set weight
        </Button>
      </Popover.Dropdown>
    </Popover>
  );
}
