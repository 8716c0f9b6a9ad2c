import { useQuery } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import type { PosturePart } from '../../api/types';
import { plural } from '../../parts/format';
import { Card, Facts, Page } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { StateBadge } from '../../parts/StateBadge';

/** Which parts of the deployment have no second, and what gives them one. */
export function PosturePage() {
  const asked = useQuery({
    queryKey: ['posture'],
    queryFn: () => body(api.GET('/v1/posture')),
    refetchInterval: 10_000,
  });
  return (
    <Page title="Posture">
      <Shown asked={asked}>
        {({ single, parts }) => (
          <div className="page-scroll">
            <p>
              {single === 0
                ? 'No part that this server can see is without a second.'
                : `${plural(single, 'part')} of this deployment without a second: a fault there is felt at once.`}
            </p>
            <div className="cards">
              {parts.map((part) => (
                <Card key={`${part.part} ${part.name}`} title={titleOf(part)}>
                  <Facts facts={factsOf(part)} />
                </Card>
              ))}
            </div>
          </div>
        )}
      </Shown>
    </Page>
  );
}

function titleOf({ part, name }: PosturePart): string {
  return name ? `${TITLES[part]}: ${name}` : TITLES[part];
}

function factsOf(part: PosturePart): [string, React.ReactNode][] {
  return [
    ['Standing', <StateBadge state={part.standing} />],
    ['There is', part.found],
    ['Lost without', part.lost],
    ['Remedy', part.remedy || undefined],
  ];
}

const TITLES: Record<PosturePart['part'], string> = {
  servers: 'Servers',
  machines: 'Machines',
  'way-in': 'Way in',
  'live-store': 'Live store',
  records: 'Records',
  media: 'Media',
  route: 'Route',
};
