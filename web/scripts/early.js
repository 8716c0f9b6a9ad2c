// Runs before anything is painted, so that the frame has the colours that were chosen, and asks who is
// signed in while the program of the panel is on its way (src/api/session.ts takes the answer).
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
  window.tandemSession = fetch('/v1/session');
  // Whoever takes it handles its failure; until then it is nobody's.
  window.tandemSession.catch(() => {});
})();
