// Follows `GET /admin/live`: keeps what the gateway said last, and says when that is old. By fetch and not by EventSource, which
// cannot send a token.

import { computed, effect, signal } from "@preact/signals";
import { headers } from "./api.ts";
import { Reader } from "./events.ts";
import { refused, token, wanted } from "./session.ts";
import type { Live, Second } from "./shapes.ts";

/** Seconds of traffic that are kept. */
const KEPT = 300;
/** After so many milliseconds without a beat, which comes each second, what is shown is old. */
const STALE = 4_000;
/** First and longest pause before another try, in milliseconds. */
const PAUSE = 500;
const LONGEST_PAUSE = 10_000;

export const live = signal<Live | null>(null);
export const history = signal<Second[]>([]);
/** Requests per second of each route, oldest first. */
export const rates = signal<Map<string, number[]>>(new Map());
/** When the last beat came, by this machine's clock. */
const heard = signal(0);
const now = signal(Date.now());
/** Why there is no stream, where the gateway said so. */
export const trouble = signal<string | null>(null);

export const staleFor = computed(() => (heard.value === 0 ? 0 : Math.max(0, now.value - heard.value)));
export const isStale = computed(() => staleFor.value > STALE || (heard.value === 0 && trouble.value !== null));

const RATES_KEPT = 60;

function hear(name: string, data: string) {
  if (name === "history") {
    history.value = (JSON.parse(data) as { seconds: Second[] }).seconds;
    return;
  }
  if (name !== "beat") return;
  const beat = JSON.parse(data) as Live;
  live.value = beat;
  history.value = [...history.value, beat.now].slice(-KEPT);
  const next = new Map(rates.value);
  const spoken = new Map(beat.routes.map((route) => [route.route, route.per_second]));
  for (const name of new Set([...next.keys(), ...spoken.keys()])) {
    next.set(name, [...(next.get(name) ?? []), spoken.get(name) ?? 0].slice(-RATES_KEPT));
  }
  rates.value = next;
  heard.value = Date.now();
  trouble.value = null;
}

async function follow(leave: AbortSignal) {
  const quiet = new AbortController();
  let watchdog = setTimeout(() => quiet.abort(), 2 * STALE);
  try {
    const answer = await fetch("admin/live", {
      headers: { ...headers(), accept: "text/event-stream" },
      signal: AbortSignal.any([leave, quiet.signal]),
      cache: "no-store",
    });
    if (answer.status === 401) {
      refused();
      throw new Error("the gateway wants a token");
    }
    if (!answer.ok || answer.body === null) {
      const text = await answer.text();
      throw new Error(text.includes("error") ? (JSON.parse(text).error as string) : `the gateway answered ${answer.status}`);
    }
    const reader = new Reader();
    const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => quiet.abort(), 2 * STALE);
      for (const event of reader.read(value)) hear(event.name, event.data);
    }
  } finally {
    clearTimeout(watchdog);
  }
}

/** Follows for as long as the page is there, with the token that holds at the time. */
export function begin() {
  setInterval(() => (now.value = Date.now()), 1_000);
  let leave = new AbortController();
  effect(() => {
    void token.value;
    const waits = wanted.value !== "no";
    leave.abort();
    leave = new AbortController();
    if (!waits) void keepFollowing(leave.signal);
  });
}

async function keepFollowing(leave: AbortSignal) {
  let pause = PAUSE;
  while (!leave.aborted) {
    const begun = Date.now();
    try {
      await follow(leave);
    } catch (error) {
      if (leave.aborted) return;
      trouble.value = error instanceof Error && error.name !== "AbortError" ? error.message : "the gateway says nothing";
    }
    if (Date.now() - begun > LONGEST_PAUSE) pause = PAUSE;
    await new Promise((wake) => setTimeout(wake, pause));
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }
}
