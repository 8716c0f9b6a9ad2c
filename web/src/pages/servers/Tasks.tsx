import { Progress, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import { useEvents } from '../../api/events';
import { useMay } from '../../api/session';
import type { Task } from '../../api/types';
import { Confirm } from '../../parts/Confirm';
import { plural, time } from '../../parts/format';
import { Card } from '../../parts/Page';
import { StateBadge } from '../../parts/StateBadge';

/** Tasks that are shown of one server. */
const SHOWN = 5;

/** What was begun at a server, with steps, progress and log. */
export function Tasks({ server }: { server: string }) {
  useEvents('tasks');
  const { data } = useQuery({
    queryKey: ['tasks', server],
    queryFn: () => body(api.GET('/v1/tasks', { params: { query: { server } } })),
    refetchInterval: 1000,
  });
  const tasks = data?.items.slice(0, SHOWN) ?? [];
  return (
    <Card title="Tasks">
      {tasks.length === 0 && (
        <Text size="sm" c="dimmed">
          Nothing was begun since control runs.
        </Text>
      )}
      {tasks.map((task) => (
        <One key={task.id} task={task} />
      ))}
    </Card>
  );
}

function One({ task }: { task: Task }) {
  const left = task.calls_left;
  const first = task.calls_at_first;
  const running = task.state === 'running';
  const part = left != null && first ? (100 * (first - Math.min(first, left))) / first : null;
  return (
    <section aria-label={task.title} style={{ marginBottom: 12 }}>
      <Text size="sm" fw={600}>
        {task.title} <StateBadge state={task.state} />
      </Text>
      <Text size="xs" c="dimmed">
        {time(task.created_us)} · {task.actor}
      </Text>
      {running && left != null && (
        <Text size="sm" role="status">
          {plural(left, 'call')} left
          {task.calls_until_us != null && `; waited for until ${time(task.calls_until_us)}`}
        </Text>
      )}
      {running && part != null && <Progress value={part} aria-label="calls that have ended" />}
      {task.can_cancel && <Cancel task={task} />}
      <ol style={{ margin: '4px 0', paddingLeft: 18, fontSize: 13 }}>
        {task.steps.map(({ name, state }) => (
          <li key={name}>
            {name}
            {state ? `: ${state}` : ''}
          </li>
        ))}
      </ol>
      <details>
        <summary style={{ fontSize: 12 }}>Log</summary>
        <pre className="mono" style={{ fontSize: 12, whiteSpace: 'pre-wrap', margin: 0 }}>
          {task.log.map(({ at_us, text }) => `${time(at_us)} ${text}`).join('\n')}
        </pre>
      </details>
    </section>
  );
}

/** Ends the wait for calls; their server takes new ones again. */
function Cancel({ task }: { task: Task }) {
  const client = useQueryClient();
  const mayCancel = useMay('operator');
  if (!mayCancel) return null;
  const path = { id: task.id };
  const cancel = async () => {
    await body(api.POST('/v1/tasks/{id}/cancel', { params: { path } }));
    await client.invalidateQueries({ queryKey: ['servers'] });
    await client.invalidateQueries({ queryKey: ['tasks'] });
  };
  return (
    <Confirm
      compact
      action="Cancel task"
      question={`Cancel: ${task.title}?`}
      onConfirm={cancel}
      wish={{ method: 'POST', path: `/v1/tasks/${task.id}/cancel` }}
    >
      Nothing has been restarted or stopped yet; the server takes calls as it did before.
    </Confirm>
  );
}
