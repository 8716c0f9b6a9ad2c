import { Alert } from '@mantine/core';
import type { UnheardServer } from '../../api/types';
import { relative } from '../../parts/format';

interface Props {
  servers: UnheardServer[];
  /** What of theirs is missing. */
  what?: string;
}

/** Servers that have not answered: what is shown lacks their calls. */
export function Unheard({ servers, what = 'Calls' }: Props) {
  if (!servers.length) return null;
  return (
    <Alert color="yellow" role="status" title={`${what} of some servers are missing`} mb={8}>
      {servers.map(({ server, name, heard_us, why }) => (
        <div key={server ?? name}>
          {name}: {why}; last heard of {relative(heard_us)}
        </div>
      ))}
    </Alert>
  );
}
