import { notifications } from '@mantine/notifications';

/**
 * What is done about a part of the panel that does not come. If the server has another panel by now,
 * its parts have other names: the page is loaded again, once. Else the failure stands.
 */
export async function whenMissing(failure: unknown): Promise<never> {
  if ((await isOutdated()) && remember()) {
    location.reload();
    // Nothing is shown in between.
    return new Promise<never>(() => {});
  }
  throw failure;
}

/** Says after such a load why what was on the page is gone. */
export function sayIfReloaded(): void {
  const at = Number(storage()?.getItem(UNTOLD) ?? 0);
  storage()?.removeItem(UNTOLD);
  if (!isLately(at)) return;
  notifications.show({
    message: 'The server has a newer panel: this page was loaded again.',
    autoClose: false,
  });
}

/** Whether the server's index begins with another program than this page did. */
async function isOutdated(): Promise<boolean> {
  const own = document.querySelector('script[type="module"][src]')?.getAttribute('src');
  if (!own) return false;
  try {
    const answer = await fetch('/', { cache: 'no-store' });
    return answer.ok && !(await answer.text()).includes(own);
  } catch {
    return false;
  }
}

/** Takes note of the load; false if there was one just now, as that has not helped. */
function remember(): boolean {
  const place = storage();
  if (!place || isLately(Number(place.getItem(RELOADED) ?? 0))) return false;
  place.setItem(RELOADED, String(Date.now()));
  place.setItem(UNTOLD, String(Date.now()));
  return true;
}

const isLately = (atMs: number) => Date.now() - atMs < AGAIN_MS;

/** None where browsers are told to keep nothing. */
function storage(): Storage | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

/** Two servers with different panels behind one name must not have a page loaded for ever. */
const AGAIN_MS = 60_000;
const RELOADED = 'tandem-reloaded-ms';
const UNTOLD = 'tandem-reloaded-untold-ms';
