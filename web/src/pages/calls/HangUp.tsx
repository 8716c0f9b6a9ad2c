import { useQueryClient } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import type { CallView } from '../../api/types';
import { Confirm } from '../../parts/Confirm';

interface Props {
  call: CallView;
  compact?: boolean;
}

/** Ends a call on both sides, after asking. */
export function HangUp({ call, compact }: Props) {
  const client = useQueryClient();
  const hangUp = async () => {
    await body(api.POST('/v1/calls/{id}/hangup', { params: { path: { id: call.id } } }));
    await client.invalidateQueries({ queryKey: ['calls'] });
  };
  const parties = `${call.caller} → ${call.called}`;
  return (
    <Confirm
      compact={compact}
      action="Hang up"
      label={`Hang up ${parties}`}
      question={`Hang up ${parties}?`}
      onConfirm={hangUp}
      wish={{ method: 'POST', path: `/v1/calls/${call.id}/hangup` }}
    >
      Both sides get a BYE, or the caller a final answer if it rings still.
    </Confirm>
  );
}
