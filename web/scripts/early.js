// Runs before anything is painted, so that the frame has the colours that were chosen, and asks for who
// is signed in and for what the page shows while the program of the panel is on its way
// (src/api/early.ts takes the answers). The parts of the page are named in the head of index.html.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem('mantine-color-scheme-value');
  } catch {
    // Storage is closed to this page: the colours of the system, then.
  }
  const isDark =
    chosen === 'dark' ||
    (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.setAttribute('data-mantine-color-scheme', isDark ? 'dark' : 'light');
  const early = new Map();
  const ask = (path) => {
    const answer = fetch(path);
    // Whoever takes it handles its failure; until then it is nobody's.
    answer.catch(() => {});
    early.set(path, answer);
  };
  window.tandemEarly = early;
  ask('/v1/session');
  let isSignedIn = false;
  try {
    isSignedIn = localStorage.getItem('tandem-signed-in') === 'yes';
  } catch {
    // As above.
  }
  if (!isSignedIn) return;
  const path = location.pathname;
  // As the queries of the pages ask; filters make other queries of them.
  const shown = {
    '/': [
      '/metrics',
      '/readyz',
      '/v1/gateway-health',
      '/v1/media-server-health',
      '/v1/zone-health',
      '/v1/cdrs?limit=200',
    ],
    '/servers': ['/v1/server-health'],
    '/calls': ['/v1/calls?limit=500'],
    '/dispatchers': ['/v1/server-health?role=dispatcher'],
  };
  if (!location.search && Object.hasOwn(shown, path)) shown[path].forEach(ask);
  const named = document.querySelector('meta[name="page-parts"]');
  // Before it is built the page has none.
  const parts = named?.content.startsWith('{') ? JSON.parse(named.content) : {};
  for (const part of Object.hasOwn(parts, path) ? parts[path] : []) {
    const link = document.createElement('link');
    link.rel = 'modulepreload';
    link.href = `/${part}`;
    document.head.append(link);
  }
})();
