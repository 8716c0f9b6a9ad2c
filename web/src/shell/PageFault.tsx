import { Button } from '@mantine/core';
import { Page } from '../parts/Page';
import { Failure } from '../parts/Shown';

/** What stands in place of a page that cannot be brought or drawn; the others can. */
export function PageFault({ error }: { error: unknown }) {
  return (
    <Page title="This page cannot be shown">
      <Failure error={error} />
      <div>
        <Button onClick={() => location.reload()}>Load it again</Button>
      </div>
    </Page>
  );
}
