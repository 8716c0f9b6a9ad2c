import { Button, Paper, PasswordInput, Stack, Text, Title } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { words } from '../api/problem';
import { sessionQuery, signIn } from '../api/session';

/** Signing in. */
export function SignIn() {
  const client = useQueryClient();
  const [token, setToken] = useState('');
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      client.setQueryData(sessionQuery.queryKey, await signIn(token));
    } catch (failure) {
      setError(words(failure));
    }
    setBusy(false);
  };
  return (
    <main style={{ display: 'grid', placeItems: 'center', minHeight: '100dvh', padding: 16 }}>
      <Paper withBorder p="lg" w="100%" maw={380}>
        <form onSubmit={(event) => void submit(event)}>
          <Stack>
            <div>
              <Title order={1}>Tandem</Title>
              <Text size="xs" c="dimmed" className="mono">
                {location.host}
              </Text>
            </div>
            <PasswordInput
              label="Token"
              description="the first one is in admin.json of the server’s data directory"
              value={token}
              onChange={(event) => setToken(event.currentTarget.value)}
              error={error}
              autoComplete="current-password"
              required
              data-autofocus
            />
            <Button type="submit" size="sm" loading={busy}>
              Sign in
            </Button>
          </Stack>
        </form>
      </Paper>
    </main>
  );
}
