import { useQuery } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import { useFilters } from '../../parts/filters';
import { Card, Page } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { Ladder } from './Ladder';
import { LegTimes } from './LegTimes';

/** The messages with a Call-ID, and those of the call that it belongs to. */
export function LadderPage() {
  const [{ sip_call_id = '' }] = useFilters();
  const asked = useQuery({
    queryKey: ['traces', 'ladder', sip_call_id],
    queryFn: () => body(api.GET('/v1/traces/ladder', { params: { query: { sip_call_id } } })),
  });
  return (
    <Page title={`Messages of ${sip_call_id}`}>
      <Shown asked={asked}>
        {(ladder) => (
          <div className="page-scroll">
            <Card title="SIP messages">
              <Ladder
                ladder={ladder}
                exported={`legs=all&sip_call_id=${encodeURIComponent(sip_call_id)}`}
              />
            </Card>
            <LegTimes ladder={ladder} />
          </div>
        )}
      </Shown>
    </Page>
  );
}
