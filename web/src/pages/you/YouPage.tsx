import { useQuery } from '@tanstack/react-query';
import { sessionQuery } from '../../api/session';
import { time } from '../../parts/format';
import { RecordLink } from '../../parts/names';
import { Card, Facts, Page } from '../../parts/Page';
import { PasswordForm } from './PasswordForm';
import { SecondFactor } from './SecondFactor';
import { Sessions } from './Sessions';

/** Who is signed in: password, second factor, sessions. */
export function YouPage() {
  const { data } = useQuery(sessionQuery);
  if (!data) return null;
  const isPerson = data.id.startsWith('per_');
  return (
    <Page title="Your account">
      <div className="page-scroll">
        <div className="cards">
          <Card title="Who you are here">
            <Facts
              facts={[
                [isPerson ? 'Name' : 'Token', data.name],
                ['Role', data.role],
                ['Account', data.account ? <RecordLink noun="accounts" id={data.account} /> : 'all'],
                ['Signed in until', data.expires_us ? time(data.expires_us) : undefined],
              ]}
            />
          </Card>
          {isPerson && (
            <>
              <Card title="Second factor">
                <SecondFactor sinceUs={data.second_factor_us ?? null} />
              </Card>
              <Card title="Password">
                <PasswordForm />
              </Card>
            </>
          )}
        </div>
        <div style={{ marginTop: 12 }}>
          <Card title="Sessions">
            <Sessions own={data.session ?? null} />
          </Card>
        </div>
      </div>
    </Page>
  );
}
