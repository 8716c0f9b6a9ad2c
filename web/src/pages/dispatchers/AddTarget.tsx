import { Button, Group, Modal, NumberInput, Text, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { ServerHealth } from '../../api/types';
import { changeTargets, wrongWith } from './set';

/** A form for one more target of a dispatcher, which gets calls from then on. */
export function AddTarget({ of: dispatcher }: { of: ServerHealth }) {
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [target, setTarget] = useState(FRESH);
  const set = (part: Partial<typeof FRESH>) => setTarget({ ...target, ...part });
  const begin = () => {
    setTarget(FRESH);
    setError(null);
    setOpen(true);
  };
  const add = async (event: FormEvent) => {
    event.preventDefault();
    try {
      await changeTargets(dispatcher, (targets) => [...targets, target]);
      await client.invalidateQueries({ queryKey: ['servers'] });
      setOpen(false);
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <>
      <Button variant="default" size="xs" mt="xs" onClick={begin}>
        Add a target
      </Button>
      <Modal opened={open} onClose={() => setOpen(false)} title={`A target of ${dispatcher.name}`} centered>
        <form onSubmit={(event) => void add(event)}>
          <TextInput
            label="Name"
            required
            value={target.name}
            onChange={(event) => set({ name: event.currentTarget.value })}
          />
          <TextInput
            label="Address"
            description="transport:address:port, or a name, such as udp:10.0.0.3:5060"
            mt="xs"
            required
            value={target.address}
            onChange={(event) => set({ address: event.currentTarget.value })}
          />
          <Group grow mt="xs" align="flex-start">
            <NumberInput
              label="Weight"
              description="its share among those of its priority"
              min={1}
              max={1000}
              allowDecimal={false}
              required
              value={target.weight}
              onChange={(weight) => set({ weight: Number(weight) })}
            />
            <NumberInput
              label="Priority"
              description="the lowest comes first"
              min={0}
              max={65535}
              allowDecimal={false}
              required
              value={target.priority}
              onChange={(priority) => set({ priority: Number(priority) })}
            />
          </Group>
          {error != null && (
            <Text size="sm" c="red" role="alert" mt="xs">
              {wrongWith(error)}
            </Text>
          )}
          <Group justify="flex-end" mt="md">
            <Button variant="default" onClick={() => setOpen(false)}>
              Cancel
            </Button>
            <Button type="submit">Add</Button>
          </Group>
        </form>
      </Modal>
    </>
  );
}

const FRESH = { name: '', address: '', weight: 1, priority: 0 };
