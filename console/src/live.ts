// Follows `GET /admin/live`: keeps what the gateway said last, and says when that is old. By fetch and not by EventSource, which
// cannot send a token.

import { computed, effect, signal } from "@preact/signals";
import { Problem, headers, problem } from "./api.ts";
import { Company, named } from "./company.ts";
import { Reader } from "./events.ts";
import { refused, token, wanted } from "./session.ts";
import type { Live, Second } from "./shapes.ts";

/** Seconds of traffic that are kept. */
const KEPT = 300;
/** After so many milliseconds without a beat, which comes each second, what is shown is old. */
const STALE = 4_000;
/** After so many milliseconds out of sight a page lets its stream go: a browser has six connections to a gateway, for all its
 * tabs together. */
const REST = 5_000;
/** First and longest pause before another try, in milliseconds. */
const PAUSE = 500;
const LONGEST_PAUSE = 10_000;

export const live = signal<Live | null>(null);
export const history = signal<Second[]>([]);
/** Requests per second of each route, oldest first. */
export const rates = signal<Map<string, number[]>>(new Map());
/** When the last beat came, by this machine's clock. */
const heard = signal(0);
/** When it was begun to listen for one. */
const begun = signal(0);
const now = signal(Date.now());
/** Why there is no stream, in words. */
export const trouble = signal<string | null>(null);
/** Whether nobody sees the page. */
const rests = signal(false);
/** Whether this operator may not listen; asking again changes nothing. */
const barred = signal(false);

export const staleFor = computed(() => (heard.value === 0 ? 0 : Math.max(0, now.value - heard.value)));

/** What is shown is of now only where it is `live`. */
export const standing = computed((): "token wanted" | "no access" | "paused" | "live" | "stale" | "connecting" => {
  if (wanted.value !== "no") return "token wanted";
  if (barred.value) return "no access";
  if (rests.value) return "paused";
  if (now.value - heard.value <= STALE) return "live";
  return trouble.value !== null || now.value - begun.value > STALE ? "stale" : "connecting";
});

const RATES_KEPT = 60;

/** The history ends with the second of the beat that follows it, which is not to be counted twice. */
export function follows(seconds: Second[], first: boolean, second: Second): Second[] {
  const last = seconds.at(-1);
  return first && last !== undefined && JSON.stringify(last) === JSON.stringify(second) ? seconds : [...seconds, second].slice(-KEPT);
}

/** Whether the history has come, and no beat behind it. */
let opens = false;

function hear(name: string, data: string) {
  if (name === "history") {
    history.value = (JSON.parse(data) as { seconds: Second[] }).seconds;
    opens = true;
    return;
  }
  if (name !== "beat") return;
  const beat = JSON.parse(data) as Live;
  live.value = beat;
  history.value = follows(history.value, opens, beat.now);
  opens = false;
  const next = new Map(rates.value);
  const spoken = new Map(beat.routes.map((route) => [route.route, route.per_second]));
  for (const name of new Set([...next.keys(), ...spoken.keys()])) {
    next.set(name, [...(next.get(name) ?? []), spoken.get(name) ?? 0].slice(-RATES_KEPT));
  }
  rates.value = next;
  heard.value = now.value = Date.now();
  trouble.value = null;
}

/** `tell` passes on what is heard to the other pages of this browser. */
async function follow(leave: AbortSignal, quiet: AbortController, tell: (name: string, data: string) => void) {
  let watchdog = setTimeout(() => quiet.abort(), 2 * STALE);
  try {
    const answer = await fetch("admin/live", {
      headers: { ...headers(), accept: "text/event-stream" },
      signal: AbortSignal.any([leave, quiet.signal]),
      cache: "no-store",
    });
    if (answer.status === 401) refused();
    if (!answer.ok || answer.body === null) throw problem(answer.status, await answer.text());
    const reader = new Reader();
    const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => quiet.abort(), 2 * STALE);
      for (const event of reader.read(value)) {
        hear(event.name, event.data);
        tell(event.name, event.data);
      }
    }
  } finally {
    clearTimeout(watchdog);
  }
}

/** Follows for as long as somebody sees the page, with the token that holds at the time. */
export function begin() {
  setInterval(() => (now.value = Date.now()), 1_000);
  let soon: ReturnType<typeof setTimeout> | undefined;
  rests.value = document.hidden;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(soon);
    if (document.hidden) soon = setTimeout(() => (rests.value = true), REST);
    else rests.value = false;
  });
  let leave = new AbortController();
  effect(() => {
    void token.value;
    const waits = wanted.value !== "no" || rests.value;
    leave.abort();
    leave = new AbortController();
    if (waits) return;
    begun.value = now.value = Date.now();
    trouble.value = null;
    barred.value = false;
    void keepFollowing(leave.signal);
  });
}

async function keepFollowing(leave: AbortSignal) {
  const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(named(location.pathname, token.value));
  const known = () => (history.value.length === 0 ? null : JSON.stringify({ seconds: history.value }));
  const company = new Company(channel, Math.random(), hear, known);
  const gone = () => company.bye();
  addEventListener("pagehide", gone);
  try {
    await keepFollowingIn(company, leave);
  } finally {
    removeEventListener("pagehide", gone);
    company.close();
  }
}

async function keepFollowingIn(company: Company, leave: AbortSignal) {
  let pause = PAUSE;
  while (!leave.aborted) {
    await company.alone(leave);
    if (leave.aborted) return;
    const begun = Date.now();
    const quiet = new AbortController();
    try {
      let given = false;
      await company.hold(async (another, tell) => {
        another.addEventListener("abort", () => (given = true));
        await follow(AbortSignal.any([leave, another]), quiet, tell);
      });
      if (given) continue;
    } catch (error) {
      if (leave.aborted) return;
      if (error instanceof Problem && error.status === 403) {
        trouble.value = `${token.value === null ? "" : "this token may not read what happens here: "}${error.message}`;
        barred.value = true;
        // What another token was told is not for this one.
        live.value = null;
        history.value = [];
        rates.value = new Map();
        heard.value = 0;
        return;
      }
      // A browser's own words for it are for programmers.
      trouble.value = error instanceof Problem ? error.message : quiet.signal.aborted ? "the gateway says nothing" : "the gateway cannot be reached";
    }
    if (Date.now() - begun > LONGEST_PAUSE) pause = PAUSE;
    await new Promise((wake) => setTimeout(wake, pause));
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }
}
