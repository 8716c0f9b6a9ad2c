import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { api, body } from '../../api/client';
import { useEvents } from '../../api/events';
import { isRefusal } from '../../api/problem';
import { Shown } from '../../parts/Shown';
import { EndedCall } from './EndedCall';
import { LiveCall } from './LiveCall';

/** One call: while it lasts what the node knows of it, afterwards its record. */
export function CallPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  useEvents('calls');
  const path = { params: { path: { id } } };
  const asked = useQuery({
    queryKey: ['calls', 'one', id],
    queryFn: async () => {
      try {
        return { live: await body(api.GET('/v1/calls/{id}', path)) };
      } catch (error) {
        if (!isRefusal(error, 404)) throw error;
        return { ended: await body(api.GET('/v1/cdrs/{id}', path)) };
      }
    },
    // The record of a call is in the database a moment after its end.
    retry: (failures, error) => failures < 5 && isRefusal(error, 404),
    retryDelay: 700,
    refetchInterval: (query) => (query.state.data?.ended ? false : 2000),
  });
  return (
    <Shown asked={asked}>
      {({ live, ended }) =>
        live ? <LiveCall call={live} /> : ended ? <EndedCall cdr={ended} /> : null
      }
    </Shown>
  );
}
