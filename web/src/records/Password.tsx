import { Alert, Button, CopyButton, Group } from '@mantine/core';

/** A password or token that is shown this once. */
export function Password({ of, value }: { of: string; value: string }) {
  return (
    <Alert color="green" mb="sm" title={`The secret of ${of}`} role="status">
      <Group>
        <code className="mono" data-testid="secret" style={{ overflowWrap: 'anywhere' }}>
          {value}
        </code>
        <CopyButton value={value}>
          {({ copied, copy }) => (
            <Button variant="default" onClick={copy}>
              {copied ? 'Copied' : 'Copy'}
            </Button>
          )}
        </CopyButton>
      </Group>
      It is shown only now.
    </Alert>
  );
}
