// Numbers as people read them.

const NANOS = 1e9;

export function count(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

export function rate(value: number): string {
  if (value === 0) return "0";
  return value < 10 ? value.toFixed(1) : count(value);
}

export function short(value: number): string {
  return new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

export function percent(part: number, whole: number): string {
  if (whole === 0) return "–";
  const share = (100 * part) / whole;
  if (part !== whole && share > 99.9) return share >= 99.99 ? "> 99.99 %" : `${share.toFixed(2)} %`;
  return `${share.toFixed(share === 100 || share === 0 ? 0 : 1)} %`;
}

export function dollars(value: number): string {
  if (value === 0) return "$0";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 0.1 ? 2 : 6;
  return `$${value.toLocaleString("en-US", { minimumFractionDigits: Math.min(digits, 2), maximumFractionDigits: digits })}`;
}

export const nanoDollars = (value: number) => dollars(value / NANOS);

export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let left = value;
  while (left >= 1024 && at < units.length - 1) {
    left /= 1024;
    at += 1;
  }
  return `${left < 10 && at > 0 ? left.toFixed(1) : Math.round(left)} ${units[at]}`;
}

/** Of seconds. */
export function span(seconds: number): string {
  if (seconds > 0 && seconds < 0.01) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** When something comes, in seconds from now. */
export const soon = (seconds: number) => (seconds < 0.1 ? "any moment" : `in ${span(seconds)}`);

export const millis = (value: number) => span(value / 1000);

/** Of Unix time in seconds. */
export function ago(unix: number): string {
  const seconds = Date.now() / 1000 - unix;
  return seconds < 1 ? "just now" : `${span(seconds)} ago`;
}

const pad = (value: number) => String(value).padStart(2, "0");

/** Of Unix time in seconds, by this machine's clock: today's by the time alone. */
export function moment(unix: number): string {
  const date = new Date(unix * 1000);
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return new Date().toDateString() === date.toDateString() ? time : `${day} ${time}`;
}

export function iso(unix: number): string {
  return new Date(unix * 1000).toISOString();
}

/** `half_open` as people say it. */
export const plain = (word: string) => word.replaceAll("_", " ");

/** Whether one of `words` has `wanted` in it, in whatever case. */
export function among(wanted: string, ...words: (string | null | undefined)[]): boolean {
  const sought = wanted.trim().toLowerCase();
  return words.some((word) => word?.toLowerCase().includes(sought));
}

export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}
