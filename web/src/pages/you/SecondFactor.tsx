import { Alert, Button, Group, PasswordInput, Text, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { api, body } from '../../api/client';
import { words } from '../../api/problem';
import { sessionQuery } from '../../api/session';
import { time } from '../../parts/format';
import { Picture } from './Picture';

interface Offer {
  secret: string;
  picture: string[];
}

/** One-time codes of an app beside the password: set up, or given up. */
export function SecondFactor({ sinceUs }: { sinceUs: number | null }) {
  const client = useQueryClient();
  const [offer, setOffer] = useState<Offer | null>(null);
  const [recovery, setRecovery] = useState<string[] | null>(null);
  const [code, setCode] = useState('');
  const [error, setError] = useState<string | null>(null);
  const attempt = async (work: () => Promise<void>) => {
    setError(null);
    try {
      await work();
      await client.refetchQueries({ queryKey: sessionQuery.queryKey });
    } catch (failure) {
      setError(words(failure));
    }
    setCode('');
  };
  const begin = () =>
    attempt(async () => setOffer(await body(api.POST('/v1/session/second-factor'))));
  const confirm = (event: FormEvent) => {
    event.preventDefault();
    void attempt(async () => {
      const made = await body(api.PUT('/v1/session/second-factor', { body: { code } }));
      setOffer(null);
      setRecovery(made.recovery_codes);
    });
  };
  const remove = (event: FormEvent) => {
    event.preventDefault();
    void attempt(async () => {
      const path = '/v1/session/second-factor/remove';
      await body(api.POST(path, { body: { password: code } }));
      setRecovery(null);
    });
  };
  if (recovery) return <Recovery codes={recovery} onDone={() => setRecovery(null)} />;
  if (offer) {
    return (
      <form onSubmit={confirm} aria-label="Set up">
        <Text size="sm" mb="xs">
          Scan this with an authenticator app, or type the key into it.
        </Text>
        <Picture rows={offer.picture} label="QR code of the key" />
        <Text size="xs" className="mono" my="xs" data-testid="key" style={{ overflowWrap: 'anywhere' }}>
          {offer.secret}
        </Text>
        <Group align="flex-end">
          <TextInput
            label="Code that the app shows"
            value={code}
            onChange={(event) => setCode(event.currentTarget.value)}
            error={error}
            inputMode="numeric"
            autoComplete="one-time-code"
            required
          />
          <Button type="submit">Set up</Button>
          <Button variant="default" onClick={() => setOffer(null)}>
            Cancel
          </Button>
        </Group>
      </form>
    );
  }
  if (sinceUs == null) {
    return (
      <>
        <Text size="sm" mb="sm">
          Whoever has your password can sign in. With a second factor they need your phone, too.
        </Text>
        {error && <Text c="red">{error}</Text>}
        <Button onClick={() => void begin()}>Set up a second factor</Button>
      </>
    );
  }
  return (
    <form onSubmit={remove} aria-label="Remove the second factor">
      <Text size="sm" mb="sm">
        You have one since {time(sinceUs)}.
      </Text>
      <Group align="flex-end">
        <PasswordInput
          label="Your password"
          value={code}
          onChange={(event) => setCode(event.currentTarget.value)}
          error={error}
          autoComplete="current-password"
          required
          w={220}
        />
        <Button type="submit" color="red" variant="light">
          Remove it
        </Button>
      </Group>
    </form>
  );
}

function Recovery({ codes, onDone }: { codes: string[]; onDone: () => void }) {
  return (
    <Alert color="green" title="Your recovery codes" role="status">
      <Text size="sm" mb="xs">
        Each lets you sign in once without the app. Keep them where you keep keys: they are shown
        only now.
      </Text>
      <pre className="mono" data-testid="recovery-codes" style={{ margin: '0 0 8px' }}>
        {codes.join('\n')}
      </pre>
      <Button variant="default" onClick={onDone}>
        I have them
      </Button>
    </Alert>
  );
}
