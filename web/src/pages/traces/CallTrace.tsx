import { useQuery } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import { useOpen } from '../../api/session';
import { Card } from '../../parts/Page';
import { Shown } from '../../parts/Shown';
import { Ladder } from './Ladder';
import { LegTimes } from './LegTimes';

interface Props {
  id: string;
  /** Whether it lasts. */
  live: boolean;
}

/** The messages of a call, for those who may see them. */
export function CallTrace(props: Props) {
  return useOpen('traces') && <Messages {...props} />;
}

/** While the call lasts they are read again. */
function Messages({ id, live }: Props) {
  const asked = useQuery({
    queryKey: ['calls', 'ladder', id, live],
    queryFn: () => body(api.GET('/v1/calls/{id}/ladder', { params: { path: { id } } })),
    refetchInterval: live ? 2000 : false,
  });
  return (
    <>
      <Card title="SIP messages">
        <Shown asked={asked}>
          {(ladder) => <Ladder ladder={ladder} exported={`call=${encodeURIComponent(id)}`} />}
        </Shown>
      </Card>
      {asked.data && <LegTimes ladder={asked.data} />}
    </>
  );
}
