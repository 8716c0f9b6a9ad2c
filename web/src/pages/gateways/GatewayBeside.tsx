import { useEvents } from '../../api/events';
import type { Gateway } from '../../api/types';
import { milliseconds, relative, UNKNOWN } from '../../parts/format';
import { Card, Facts } from '../../parts/Page';
import { StateBadge } from '../../parts/StateBadge';
import { gatewayState } from './health';
import { useGatewayHealth } from './GatewayState';

/** How a gateway is. */
export function GatewayBeside({ record }: { record: Gateway }) {
  useEvents('gateways');
  const health = useGatewayHealth(record.id);
  const registration = health?.registration;
  return (
    <Card title="Health">
      <Facts
        facts={[
          ['State', <StateBadge state={gatewayState(health)} />],
          ['Round trip of OPTIONS', milliseconds(health?.rtt_us)],
          ['Channels', health?.channels ?? UNKNOWN],
          ['Last failure', health ? health.last_failure || 'none' : UNKNOWN],
          ['Our registration', registration ? <StateBadge state={registration.state} /> : 'none'],
          [
            'Registered as',
            registration ? <span className="mono">{registration.aor}</span> : undefined,
          ],
          ['Expires', registration ? relative(registration.expires_us) : undefined],
          ['Next REGISTER', registration ? relative(registration.next_us) : undefined],
          ['Its last failure', registration ? registration.last_failure || 'none' : undefined],
        ]}
      />
    </Card>
  );
}
