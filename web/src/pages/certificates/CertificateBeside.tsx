import { Button, Group, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { useEvents } from '../../api/events';
import { words } from '../../api/problem';
import { useOpen } from '../../api/session';
import type { Certificate, DomainCheck } from '../../api/types';
import { Days } from '../../parts/Days';
import { relative, time, UNKNOWN } from '../../parts/format';
import { RecordLink } from '../../parts/names';
import { Card, Facts } from '../../parts/Page';
import { StateBadge } from '../../parts/StateBadge';
import { presentedQuery } from './presented';

/** What a certificate says, how its renewal goes, and where it is shown. */
export function CertificateBeside({ record }: { record: Certificate }) {
  const mayChange = useOpen('certificates', 'change');
  // The form keeps what was read first: what an authority has done since stands here.
  useEvents('certificates');
  const { data = record } = useQuery({
    queryKey: ['certificates', 'now', record.id],
    queryFn: () =>
      body(api.GET('/v1/certificates/{id}', { params: { path: { id: record.id } } })),
    refetchInterval: 5000,
  });
  return (
    <>
      <Card title="What it says">
        <Says of={data} />
      </Card>
      {data.source?.kind === 'acme' && (
        <Card title="Renewal">
          <Renewal of={data} mayChange={mayChange} source={data.source} />
        </Card>
      )}
      <Card title="Where it is shown">
        <Shown of={data} />
      </Card>
    </>
  );
}

function Says({ of: { facts, servers } }: { of: Certificate }) {
  if (!facts) return <Text size="sm">It is not there yet.</Text>;
  return (
    <Facts
      facts={[
        ['Names', <span className="mono">{facts.names.join(', ') || 'none'}</span>],
        ['Days left', <Days until={facts.not_after_us} />],
        ['Valid until', time(facts.not_after_us)],
        ['Valid from', time(facts.not_before_us)],
        ['Issuer', facts.issuer],
        ['Subject', facts.subject || UNKNOWN],
        ['Serial number', <Wrapped>{facts.serial}</Wrapped>],
        ['SHA-256', <Wrapped>{facts.fingerprint}</Wrapped>],
        ['Servers', servers?.length ? servers.map((id) => <RecordLink key={id} noun="servers" id={id} />) : 'all'],
      ]}
    />
  );
}

function Wrapped({ children }: { children: string }) {
  return (
    <span className="mono" style={{ overflowWrap: 'anywhere' }}>
      {children}
    </span>
  );
}

interface RenewalProps {
  of: Certificate;
  mayChange: boolean;
  source: Extract<NonNullable<Certificate['source']>, { kind: 'acme' }>;
}

/** What became of the last attempt, and a next one at once. */
function Renewal({ of: { id, renewal }, mayChange, source }: RenewalProps) {
  const client = useQueryClient();
  const renew = async () => {
    try {
      await body(api.POST('/v1/certificates/{id}/renew', { params: { path: { id } } }));
      notifications.show({ message: 'The authority is being asked' });
    } catch (error) {
      notifications.show({ message: words(error), color: 'red' });
    }
    await client.invalidateQueries({ queryKey: ['certificates', 'now', id] });
  };
  return (
    <>
      <Facts
        facts={[
          ['Last attempt', renewal ? relative(renewal.at_us) : 'none yet'],
          ['Next attempt', renewal ? relative(renewal.next_us) : 'at once'],
          ['Failures in a row', renewal?.failures ?? 0],
        ]}
      />
      {renewal?.error && (
        <Text size="sm" c="red" role="alert" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
          {renewal.error}
        </Text>
      )}
      {mayChange && (
        <Group mt="sm" align="flex-start">
          {source.challenge !== 'dns-01' && <Check domains={source.domains} />}
          <Button size="xs" variant="default" onClick={() => void renew()}>
            Ask the authority now
          </Button>
        </Group>
      )}
    </>
  );
}

/** Whether the names lead here; no authority is asked. */
function Check({ domains }: { domains: string[] }) {
  const [busy, setBusy] = useState(false);
  const [found, setFound] = useState<DomainCheck[]>([]);
  const check = async () => {
    setBusy(true);
    try {
      setFound(await body(api.POST('/v1/certificates/check', { body: { domains } })));
    } catch (error) {
      notifications.show({ message: words(error), color: 'red' });
    }
    setBusy(false);
  };
  return (
    <>
      <Button size="xs" variant="default" loading={busy} onClick={() => void check()}>
        Check the names
      </Button>
      {found.map(({ domain, standing, reason }) => (
        <Text key={domain} size="sm" role="status" style={{ flexBasis: '100%' }}>
          <StateBadge state={standing} /> {reason}
        </Text>
      ))}
    </>
  );
}

/** The sockets of this server that show it, found out by connecting to them. */
function Shown({ of }: { of: Certificate }) {
  const { data, error } = useQuery(presentedQuery);
  if (error) return <Text size="sm">{words(error)}</Text>;
  if (of.kind === 'client') {
    return <Text size="sm">To gateways that ask for one of its authority.</Text>;
  }
  const places = data?.items.filter(({ certificate }) => certificate === of.id) ?? [];
  if (data && places.length === 0) return <Text size="sm">Nowhere on this server.</Text>;
  return (
    <Facts
      facts={places.map(({ transport, address, server_name }) => [
        `${transport} ${address}`,
        server_name ? `to who asks for ${server_name}` : 'to who asks for no name',
      ])}
    />
  );
}
