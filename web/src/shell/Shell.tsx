import { AppShell, Burger, Group, NavLink, ScrollArea, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Link, Outlet, useRouterState } from '@tanstack/react-router';
import { useMay } from '../api/session';
import { HeaderTools } from './HeaderTools';
import { places, type Place } from './places';
import { Search } from './Search';

/** What stands around each page. */
export function Shell() {
  const [opened, { toggle, close }] = useDisclosure(false);
  return (
    <AppShell
      header={{ height: 44 }}
      navbar={{ width: 190, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      padding="sm"
    >
      <AppShell.Header px="sm">
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap">
            <Burger
              opened={opened}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label="Navigation"
            />
            <Text fw={600}>Tandem</Text>
            <Text c="dimmed" size="xs" className="mono wide">
              {location.host}
            </Text>
          </Group>
          <HeaderTools />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar>
        <ScrollArea p={6} type="auto">
          <nav aria-label="Pages">
            {places.map(({ group, places: inGroup }) => (
              <div key={group} role="group" aria-label={group}>
                <Text size="xs" c="dimmed" px={10} pt={8} pb={2}>
                  {group}
                </Text>
                {inGroup.map((place) => (
                  <Entry key={place.path} place={place} onClick={close} />
                ))}
              </div>
            ))}
          </nav>
        </ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main style={{ height: '100dvh', minHeight: 0 }}>
        <Outlet />
      </AppShell.Main>
      <Search />
    </AppShell>
  );
}

function Entry({ place, onClick }: { place: Place; onClick: () => void }) {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const may = useMay(place.role ?? 'viewer');
  if (!may) return null;
  const active = place.path === '/' ? path === '/' : `${path}/`.startsWith(`${place.path}/`);
  return (
    <NavLink
      component={Link}
      to={place.path}
      label={place.title}
      active={active}
      aria-current={active ? 'page' : undefined}
      onClick={onClick}
      py={4}
      style={{ borderRadius: 4 }}
    />
  );
}
