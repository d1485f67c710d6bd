// What a rehearsal is asked for and what it comes to: the shapes of `POST /admin/simulate`, and sums of its minutes.

export interface Wish {
  outages: string[];
  script?: string;
  workload?: string;
  rate?: number;
  duration?: string;
  seed: number;
  claims: string[];
  compare?: string;
}

export interface Came {
  about: string[];
  remarks: string[];
  claims: { config: string; claim: string; holds: boolean }[];
  reports: Rehearsed[];
}

export interface Attempts {
  good: number;
  bad: number;
  cancelled: number;
}

export interface Minute {
  minute: number;
  requests: number;
  answered: number;
  failed: number;
  broken: number;
  hung_up: number;
  p50_ttft: number | null;
  p99_ttft: number | null;
  attempts: Record<string, Attempts>;
}

export interface Lane {
  of: string;
  /** In seconds since the start. */
  spans: { from: number; to: number; state: string }[];
}

/** Times are seconds. */
export interface Rehearsed {
  config: string;
  totals: {
    requests: number;
    answered: number;
    failed: number;
    broken: number;
    hung_up: number;
    success: number | null;
    p50_ttft: number | null;
    p99_ttft: number | null;
    attempts: number;
    amplification: number;
    cost_usd: number | null;
    unpriced_attempts: number;
    recovery: number | null;
    reasons: Record<string, number>;
  };
  minutes: Minute[];
  timeline: Lane[];
  not_rehearsed: string[];
  does_not_happen: string[];
}

/** Ready-made outages, as `mainstay simulate` has them. */
export const READY_MADE: [string, string][] = [
  ["", "none"],
  ["provider-down", "provider-down: no connection, for 4 hours"],
  ["storm", "storm: 529 for 3 s of every 30 s, for 30 minutes"],
  ["out-of-quota", "out-of-quota: its first key, for an hour"],
  ["slow-creep", "slow-creep: later and later, for 30 minutes"],
  ["flapping", "flapping: refuses for 20 s of every 60 s, for 30 minutes"],
];

/** Bars that fit beside each other. */
const MOST_BARS = 130;

/** Some minutes, summed up. */
export interface Bar {
  /** Its first minute. */
  minute: number;
  answered: number;
  failed: number;
  broken: number;
  hung_up: number;
  attempts: Record<string, Attempts>;
}

/** As few minutes in each as there is room for. */
export function bars(minutes: Minute[]): Bar[] {
  const each = Math.max(1, Math.ceil(minutes.length / MOST_BARS));
  const found: Bar[] = [];
  minutes.forEach((minute, at) => {
    if (at % each === 0) found.push({ minute: minute.minute, answered: 0, failed: 0, broken: 0, hung_up: 0, attempts: {} });
    const bar = found.at(-1);
    if (bar === undefined) return;
    bar.answered += minute.answered;
    bar.failed += minute.failed;
    bar.broken += minute.broken;
    bar.hung_up += minute.hung_up;
    for (const [upstream, { good, bad, cancelled }] of Object.entries(minute.attempts)) {
      const sum = bar.attempts[upstream] ?? { good: 0, bad: 0, cancelled: 0 };
      bar.attempts[upstream] = { good: sum.good + good, bad: sum.bad + bad, cancelled: sum.cancelled + cancelled };
    }
  });
  return found;
}

/** Upstreams by what they served, the busiest first. */
export function busiest(minutes: Minute[]): string[] {
  const served = new Map<string, number>();
  for (const { attempts } of minutes) {
    for (const [upstream, { good }] of Object.entries(attempts)) served.set(upstream, (served.get(upstream) ?? 0) + good);
  }
  return [...served].sort((a, b) => b[1] - a[1]).map(([upstream]) => upstream);
}

/** `1:05` for the 65th minute. */
export const clock = (minutes: number) => `${Math.floor(minutes / 60)}:${String(Math.floor(minutes % 60)).padStart(2, "0")}`;
