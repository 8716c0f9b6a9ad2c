import { Anchor, List, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useRouterState } from '@tanstack/react-router';
import { isOpen, sessionQuery } from '../api/session';
import { Page } from '../parts/Page';
import { places } from './places';

/** The page of this address, or what is said to who may not see it. */
export function OpenPage() {
  const { data } = useQuery(sessionQuery);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const all = places.flatMap((group) => group.places);
  const leadsTo = (place: { path: string }) =>
    place.path === '/' ? path === '/' : `${path}/`.startsWith(`${place.path}/`);
  const asked = all.find(leadsTo);
  if (!asked || !data || isOpen(data, asked.area)) return <Outlet />;
  const open = all.filter((place) => isOpen(data, place.area));
  return (
    <Page title={`${asked.title} is not open to you`}>
      <Text size="sm" mb="sm">
        You are signed in as {data.name}, {data.role}
        {data.account && ', for one account alone'}
        {data.zones.length > 0 && ', for some zones alone'}. An administrator changes that on the
        page People. These pages are yours:
      </Text>
      <List size="sm">
        {open.map((place) => (
          <List.Item key={place.path}>
            <Anchor component={Link} to={place.path}>
              {place.title}
            </Anchor>
          </List.Item>
        ))}
      </List>
    </Page>
  );
}
