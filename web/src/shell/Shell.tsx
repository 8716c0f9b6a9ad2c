import { AppShell, Burger, Group, NavLink, ScrollArea, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Link, useRouterState } from '@tanstack/react-router';
import { Suspense, useRef, type MouseEvent } from 'react';
import { isOpen, sessionQuery } from '../api/session';
import { usePreload } from '../parts/preload';
import { DraftBanner } from './DraftBanner';
import { HeaderTools } from './HeaderTools';
import { OpenPage } from './OpenPage';
import { PageSkeleton } from './PageSkeleton';
import { places, type Place } from './places';
import { SearchWhenAsked } from './SearchWhenAsked';

/** What stands around each page. */
export function Shell() {
  const [opened, { toggle, close }] = useDisclosure(false);
  const main = useRef<HTMLElement>(null);
  const skip = (event: MouseEvent) => {
    event.preventDefault();
    main.current?.focus();
  };
  return (
    <AppShell
      header={{ height: 44 }}
      navbar={{ width: 190, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      padding="sm"
    >
      <AppShell.Header px="sm">
        <a href="#content" className="skip" onClick={skip}>
          Skip to the page
        </a>
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap">
            <Burger
              opened={opened}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label="Navigation"
              aria-expanded={opened}
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
              <Places key={group} title={group} places={inGroup} onClick={close} />
            ))}
          </nav>
        </ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main
        id="content"
        ref={main}
        tabIndex={-1}
        style={{ height: '100dvh', minHeight: 0, outline: 'none' }}
      >
        <DraftBanner />
        <Suspense fallback={<PageSkeleton />}>
          <OpenPage />
        </Suspense>
      </AppShell.Main>
      <SearchWhenAsked />
    </AppShell>
  );
}

interface PlacesProps {
  title: string;
  places: Place[];
  onClick: () => void;
}

/** The pages of a group that are open to who is signed in. */
function Places({ title, places, onClick }: PlacesProps) {
  const { data } = useQuery(sessionQuery);
  const open = places.filter((place) => isOpen(data, place.area));
  if (open.length === 0) return null;
  return (
    <div role="group" aria-label={title}>
      <Text size="xs" c="dimmed" px={10} pt={8} pb={2}>
        {title}
      </Text>
      {open.map((place) => (
        <Entry key={place.path} place={place} onClick={onClick} />
      ))}
    </div>
  );
}

/** The way to a page, which is brought as soon as somebody points at it. */
function Entry({ place, onClick }: { place: Place; onClick: () => void }) {
  const preload = usePreload();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const active = place.path === '/' ? path === '/' : `${path}/`.startsWith(`${place.path}/`);
  return (
    <NavLink
      component={Link}
      to={place.path}
      label={place.title}
      active={active}
      aria-current={active ? 'page' : undefined}
      onClick={onClick}
      {...preload(place.path)}
      py={4}
      style={{ borderRadius: 4 }}
    />
  );
}
