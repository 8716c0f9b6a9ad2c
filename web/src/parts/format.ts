/** Words for what is not known; never 0. */
export const UNKNOWN = '—';

export function time(us: number | null | undefined): string {
  if (us == null) return UNKNOWN;
  const date = new Date(us / 1000);
  const pad = (n: number) => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** 75 s is 1:15. */
export function duration(s: number | null | undefined): string {
  if (s == null || s < 0) return UNKNOWN;
  const whole = Math.floor(s);
  const pad = (n: number) => String(n).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

/** 12,000 s is "3 h 20 min". */
export function span(s: number): string {
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

/** From now to then, or since then. */
export function relative(us: number | null | undefined, nowMs = Date.now()): string {
  if (us == null) return UNKNOWN;
  const s = us / 1e6 - nowMs / 1000;
  return s >= 0 ? `in ${span(s)}` : `${span(-s)} ago`;
}

export function milliseconds(us: number | null | undefined): string {
  if (us == null) return UNKNOWN;
  return us < 100_000 ? `${(us / 1000).toFixed(1)} ms` : `${Math.round(us / 1000)} ms`;
}

/** MOS of hundredths, of which 0 says that nothing is known. */
export function mos(centi: number | null | undefined): string {
  return centi ? (centi / 100).toFixed(2) : UNKNOWN;
}

export function bytes(count: number | null | undefined): string {
  if (count == null) return UNKNOWN;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit ? value.toFixed(1) : value} ${units[unit]}`;
}

export function count(value: number | null | undefined): string {
  return value == null ? UNKNOWN : value.toLocaleString('en-GB');
}

export function percent(part: number, whole: number): string {
  return whole ? `${((100 * part) / whole).toFixed(0)} %` : UNKNOWN;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
