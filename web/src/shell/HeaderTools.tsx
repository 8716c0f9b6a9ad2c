import { Button, Group, Menu, useMantineColorScheme } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useStreamState } from '../api/events';
import { sessionQuery, signOut } from '../api/session';
import { StateBadge } from '../parts/StateBadge';
import { leftProvider } from './ProviderSignIn';
import { openSearch, preloadSearch } from './SearchWhenAsked';
import { StaleFigures } from './StaleFigures';

/** Search, whether events come, colours, and who is signed in. */
export function HeaderTools() {
  const stream = useStreamState();
  return (
    <Group gap="xs" wrap="nowrap">
      {stream === 'broken' && <StateBadge state="no events" />}
      <StaleFigures />
      <Button
        variant="default"
        onClick={openSearch}
        onMouseEnter={preloadSearch}
        onFocus={preloadSearch}
      >
        Search{' '}
        <span className="dim wide" style={{ marginLeft: 8 }}>
          Ctrl-K
        </span>
      </Button>
      <Person />
    </Group>
  );
}

function Person() {
  const client = useQueryClient();
  const { data } = useQuery(sessionQuery);
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  if (!data) return null;
  const leave = async () => {
    await signOut();
    leftProvider(data.by);
    client.setQueryData(sessionQuery.queryKey, null);
    // What was read is not for whoever signs in next.
    client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionQuery.queryKey[0] });
  };
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button
          variant="subtle"
          color="gray"
          aria-label={`${data.name}, your session`}
          maw="min(180px, 30vw)"
          styles={{ label: { display: 'block', height: 'auto', textOverflow: 'ellipsis' } }}
        >
          {data.name}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {data.name}, {data.role}
          {data.account ? ' of one account' : ''}
          {data.zones.length > 0 ? ' of some zones' : ''}
        </Menu.Label>
        <Menu.Item component={Link} to={'/you' as string}>
          Your account
        </Menu.Item>
        {(['auto', 'light', 'dark'] as const).map((scheme) => (
          <Menu.Item
            key={scheme}
            onClick={() => setColorScheme(scheme)}
            aria-current={colorScheme === scheme}
            rightSection={colorScheme === scheme ? '✓' : undefined}
          >
            {{ auto: 'Colours of the system', light: 'Light', dark: 'Dark' }[scheme]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => void leave()}>Sign out</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
