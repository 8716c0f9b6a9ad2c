import { Anchor, Button, Paper, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Refusal, words } from '../api/problem';
import { sessionQuery, signIn, type Shown } from '../api/session';
import { ProviderSignIn } from './ProviderSignIn';

type Way = 'password' | 'code' | 'token';

/** Signing in: with a name and a password, then a code where one is needed, or with a token. */
export function SignIn() {
  const client = useQueryClient();
  const [way, setWay] = useState<Way>('password');
  const [shown, setShown] = useState<Shown>({});
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const input = (field: keyof Shown) => ({
    value: shown[field] ?? '',
    onChange: (event: { currentTarget: { value: string } }) =>
      setShown({ ...shown, [field]: event.currentTarget.value }),
    required: true,
  });
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      client.setQueryData(sessionQuery.queryKey, await signIn(shown));
    } catch (failure) {
      const needsCode = failure instanceof Refusal && failure.problem.code === 'second-factor';
      if (needsCode) setWay('code');
      else setError(words(failure));
    }
    setBusy(false);
  };
  const change = (to: Way) => {
    setWay(to);
    setShown({});
    setError(null);
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
            {way === 'password' && (
              <>
                <TextInput
                  key="name"
                  label="Name"
                  autoComplete="username"
                  autoCapitalize="none"
                  data-autofocus
                  {...input('name')}
                />
                <PasswordInput
                  key="password"
                  label="Password"
                  autoComplete="current-password"
                  {...input('password')}
                />
              </>
            )}
            {way === 'code' && (
              <TextInput
                key="code"
                label="Code"
                description="of your authenticator app, or a recovery code"
                autoComplete="one-time-code"
                autoFocus
                {...input('code')}
              />
            )}
            {way === 'token' && (
              <PasswordInput
                key="token"
                label="Token"
                description="the first one is in admin.json of the server’s data directory"
                {...input('token')}
              />
            )}
            {error && (
              <Text size="sm" c="red" role="alert">
                {error}
              </Text>
            )}
            <Button type="submit" size="sm" loading={busy}>
              Sign in
            </Button>
            {way === 'password' && <ProviderSignIn />}
            <Anchor
              component="button"
              type="button"
              size="xs"
              onClick={() => change(way === 'password' ? 'token' : 'password')}
            >
              {way === 'password' ? 'Sign in with a token' : 'Sign in with name and password'}
            </Anchor>
          </Stack>
        </form>
      </Paper>
    </main>
  );
}
