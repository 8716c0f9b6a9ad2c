import { Center, Loader } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { useEffect, useLayoutEffect } from 'react';
import { onSignedOut } from './api/client';
import { sessionQuery } from './api/session';
import { Failure } from './parts/Shown';
import { router } from './router';
import { SignIn } from './shell/SignIn';

/** The panel for who is signed in, the sign-in for others. */
export function App() {
  const client = useQueryClient();
  const { data, error, isPending } = useQuery(sessionQuery);
  // What stood there until now: index.html has it.
  useLayoutEffect(() => document.getElementById('frame')?.remove(), []);
  useEffect(() => onSignedOut(() => client.setQueryData(sessionQuery.queryKey, null)), [client]);
  if (isPending) {
    return (
      <Center h="100dvh">
        <Loader aria-label="loading" />
      </Center>
    );
  }
  if (error) return <Failure error={error} />;
  return data ? <RouterProvider router={router as never} /> : <SignIn />;
}
