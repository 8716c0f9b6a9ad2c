import { Button, Collapse, CopyButton, Group, SegmentedControl } from '@mantine/core';
import { useState } from 'react';
import { draftOf } from '../api/draft';

/** A request that a form stands for. */
export interface Wish {
  method: string;
  path: string;
  body?: unknown;
  etag?: string;
}

/** The same as the form does, for a script. */
export function AsCommand({ wish }: { wish: Wish }) {
  const [open, setOpen] = useState(false);
  const [way, setWay] = useState<'CLI' | 'curl'>('CLI');
  const text = way === 'CLI' ? asCli(wish) : asCurl(wish);
  return (
    <div>
      <Button variant="subtle" onClick={() => setOpen(!open)} aria-expanded={open}>
        As CLI / curl
      </Button>
      <Collapse expanded={open}>
        <Group my={6} justify="space-between">
          <SegmentedControl
            size="xs"
            data={['CLI', 'curl']}
            value={way}
            onChange={(value) => setWay(value as 'CLI' | 'curl')}
            aria-label="form of the command"
          />
          <CopyButton value={text}>
            {({ copied, copy }) => (
              <Button variant="default" onClick={copy}>
                {copied ? 'Copied' : 'Copy'}
              </Button>
            )}
          </CopyButton>
        </Group>
        <pre className="command mono">{text}</pre>
      </Collapse>
    </div>
  );
}

function asCli({ method, path, body, etag }: Wish): string {
  const draft = draftOf(path.split('?')[0]!);
  const condition = (etag ? ` --if-match '${etag}'` : '') + (draft ? ` --draft ${draft.id}` : '');
  const command = `tandem api ${method} '${path}'${condition}`;
  return body === undefined ? command : `${command} --json - <<'END'\n${shown(body)}\nEND`;
}

function asCurl({ method, path, body, etag }: Wish): string {
  const lines = [`curl -X ${method} -H "Authorization: Bearer $TANDEM_TOKEN"`];
  if (etag) lines.push(`  -H 'If-Match: ${etag}'`);
  const draft = draftOf(path.split('?')[0]!);
  if (draft) lines.push(`  -H 'Tandem-Draft: ${draft.id}'`);
  if (body !== undefined) {
    lines.push(
      `  -H 'Content-Type: application/json' --data '${shown(body).replaceAll("'", "'\\''")}'`,
    );
  }
  lines.push(`  '${location.origin}${path}'`);
  return lines.join(' \\\n');
}

const shown = (body: unknown) => JSON.stringify(body, null, 2);
