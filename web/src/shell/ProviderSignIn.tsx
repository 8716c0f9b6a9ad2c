import { Anchor, Button, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { providerQuery } from '../api/session';

/** Signing in by the provider, where there is one, and why that did not come to anything. */
export function ProviderSignIn() {
  const { data } = useQuery(providerQuery);
  const search = new URLSearchParams(location.search);
  const refused = search.get('refused');
  const wasThere = sessionStorage.getItem(SIGNED_OUT) !== null;
  // Where somebody was refused there is nothing to come back to.
  const to = refused ? '/' : location.pathname + location.search;
  return (
    <>
      {refused && (
        <Text size="sm" c="red" role="alert">
          {WHY.get(refused) ?? `You were not signed in (${refused}): the log of the server says why.`}
        </Text>
      )}
      {data?.name && (
        <Button
          component="a"
          href={`/v1/session/oidc/begin?to=${encodeURIComponent(to)}`}
          variant="default"
          size="sm"
        >
          Sign in with {data.name}
        </Button>
      )}
      {data?.name && data.sign_out_url && wasThere && (
        <Text size="xs" c="dimmed">
          You are signed out here, and still signed in with {data.name}.{' '}
          <Anchor size="xs" href={data.sign_out_url}>
            Sign out there, too
          </Anchor>
        </Text>
      )}
    </>
  );
}

/** Notes that who leaves had come by the provider. */
export function leftProvider(by: string | null | undefined): void {
  if (by === 'oidc') sessionStorage.setItem(SIGNED_OUT, '1');
  else sessionStorage.removeItem(SIGNED_OUT);
}

const SIGNED_OUT = 'tandem-signed-out-of-provider';

/** What each `refused` means for who stands before the page. */
const WHY = new Map([
  ['not-set-up', 'Nobody signs in by a provider here. Use a name and a password.'],
  ['provider-away', 'The provider does not answer. A name and a password are good without it.'],
  [
    'provider-untrue',
    'What the provider said was not believed: an administrator finds the reason in the log of the server.',
  ],
  ['not-begun', 'That sign-in is over, or was begun in another browser. Begin again.'],
  ['provider-refuses', 'The provider did not let you in.'],
  ['unknown-person', 'Nobody knows you here yet: ask an administrator to add you on the page People.'],
  ['name-taken', 'Your name belongs to somebody else here: ask an administrator.'],
  ['no-name', 'The provider gives you no name that can be one here: ask an administrator.'],
  ['disabled', 'You may not sign in here any more.'],
  ['no-role', 'None of your groups may do anything here: ask an administrator.'],
  ['bad-rule', 'A rule for your group names what is not there any more: ask an administrator.'],
  ['unavailable', 'The platform cannot look who you are at the moment. Try again.'],
]);
