import { Alert, Loader } from '@mantine/core';
import { useEffect, useState, type ReactNode } from 'react';
import { words } from '../api/problem';
import { span } from './format';

interface Asked<T> {
  data: T | undefined;
  error: unknown;
  dataUpdatedAt: number;
}

interface Props<T> {
  /** What was asked. */
  asked: Asked<T>;
  children: (data: T) => ReactNode;
}

/** What the platform has answered; what is old because it answers no longer says how old it is. */
export function Shown<T>({ asked, children }: Props<T>) {
  const { data, error, dataUpdatedAt } = asked;
  if (data === undefined) {
    return error ? <Failure error={error} /> : <Loader size="sm" aria-label="loading" />;
  }
  return (
    <>
      {error != null && <Stale error={error} since={dataUpdatedAt} />}
      {error != null ? <div className="stale page-scroll">{children(data)}</div> : children(data)}
    </>
  );
}

export function Failure({ error }: { error: unknown }) {
  return (
    <Alert color="red" title="This cannot be shown" role="alert">
      {words(error)}
    </Alert>
  );
}

function Stale({ error, since }: { error: unknown; since: number }) {
  const now = useNow();
  return (
    <Alert color="yellow" role="status" py={6}>
      {span((now - since) / 1000)} old: {words(error)}
    </Alert>
  );
}

/** The time, each second. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
