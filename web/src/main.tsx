import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import '@mantine/spotlight/styles.css';
import './panel.css';
import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { setNonce } from 'get-nonce';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Refusal } from './api/problem';
import { sessionQuery } from './api/session';
import { App } from './App';
import { preload } from './parts/preload';
import { router } from './router';
import { colours, theme } from './theme';
import { sayIfReloaded } from './upgrade';

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 1000,
      // A platform may be reached by a machine that its browser takes for offline.
      networkMode: 'always',
      // What the platform refuses it refuses again; what it did not answer may go better.
      retry: (failures, error) => !(error instanceof Refusal) && failures < 2,
    },
  },
});

// Styles that are written into the page are let on by the number that came with it.
const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? '';
setNonce(nonce);

// The page comes while it is found out who is signed in. Until then index.html's frame stands.
preload(router, location.pathname);
void client.prefetchQuery(sessionQuery).then(() => {
  createRoot(document.getElementById('root')!).render(
    <StrictMode>
      <MantineProvider
        theme={theme}
        cssVariablesResolver={colours}
        defaultColorScheme="auto"
        getStyleNonce={() => nonce}
      >
        <QueryClientProvider client={client}>
          <Notifications position="bottom-right" autoClose={4000} />
          <App />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
  sayIfReloaded();
});
