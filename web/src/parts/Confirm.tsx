import { Button, Group, Modal, Text } from '@mantine/core';
import { useState, type ReactNode } from 'react';
import { words } from '../api/problem';
import { AsCommand, type Wish } from './AsCommand';

interface Props {
  /** What is done, on the button: "Delete". */
  action: string;
  /** What is asked: "Delete carrier acme?" */
  question: string;
  /** What follows from it. */
  children?: ReactNode;
  onConfirm: () => Promise<unknown>;
  /** The request that it is. */
  wish?: Wish;
  label?: string;
  disabled?: boolean;
  compact?: boolean;
}

/** A button that asks before it does what cannot be undone. */
export function Confirm(props: Props) {
  const { action, question, children, onConfirm, wish, label, disabled, compact } = props;
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const confirm = async () => {
    setBusy(true);
    try {
      await onConfirm();
      setOpen(false);
    } catch (failure) {
      setError(failure);
    }
    setBusy(false);
  };
  const ask = (event: { stopPropagation: () => void }) => {
    event.stopPropagation();
    setError(null);
    setOpen(true);
  };
  return (
    <>
      <Button
        color="red"
        variant={compact ? 'subtle' : 'light'}
        size={compact ? 'compact-xs' : 'xs'}
        onClick={ask}
        disabled={disabled}
        aria-label={label}
      >
        {action}
      </Button>
      <div onClick={(event) => event.stopPropagation()} role="presentation">
        <Modal opened={open} onClose={() => setOpen(false)} title={question} centered>
          {children && (
            <Text size="sm" component="div">
              {children}
            </Text>
          )}
          {error != null && (
            <Text size="sm" c="red" role="alert">
              {words(error)}
            </Text>
          )}
          <Group justify="flex-end" mt="md" align="flex-start">
            {wish && (
              <div className="as-command">
                <AsCommand wish={wish} />
              </div>
            )}
            <Button variant="default" onClick={() => setOpen(false)}>
              Cancel
            </Button>
            <Button color="red" loading={busy} onClick={() => void confirm()} data-autofocus>
              {action}
            </Button>
          </Group>
        </Modal>
      </div>
    </>
  );
}
