// What is broken, what Mainstay does about it, and what callers notice: from the last beat and from the routes' channels.

import type { Live, LiveUpstream, Route, Status } from "./shapes.ts";
import { isPath } from "./shapes.ts";
import { plain, plural, soon, span } from "./words.ts";

export interface Wrong {
  subject: string;
  /** Unix time in seconds, where it is known. */
  since: number | null;
  word: string;
  /** What Mainstay does about it. */
  does: string;
  /** What callers see. */
  callers: string;
  page: string[];
}

/** States in which nobody is sent there. */
const OUT = new Set(["open", "forced_open", "down", "disabled", "draining"]);
const WELL = new Set(["closed", "forced_closed", "metrics_only"]);

/** What an operator has said; else how a breaker stands, and how its last requests went. */
export function modelWord({ state, failing, override }: { state: string; failing: boolean; override?: string }): string {
  if (override !== undefined) return override;
  return state === "closed" && failing ? "failing" : state;
}

export function upstreamWord(upstream: LiveUpstream): string {
  const word = modelWord(upstream);
  return WELL.has(word) && upstream.health === "down" ? "down" : word;
}

interface Ailing {
  upstream: LiveUpstream;
  model: string | null;
  state: string;
  since: number;
  until?: number;
}

function ailing(beat: Live): Ailing[] {
  return beat.upstreams.flatMap((upstream) => {
    if (!upstream.configured) return [];
    const found: Ailing[] = [];
    const word = upstreamWord(upstream);
    if (!WELL.has(word)) {
      const since = word === upstream.state ? upstream.since : 0;
      found.push({ upstream, model: null, state: word, since, until: upstream.until_seconds });
    }
    for (const model of upstream.models) {
      const word = modelWord(model);
      // What fails as a whole is said once.
      if (WELL.has(word) || (word === "failing" && found.length > 0)) continue;
      found.push({ upstream, model: model.model, state: word, since: word === model.state ? model.since : 0, until: model.until_seconds });
    }
    return found;
  });
}

const belongsTo = (channel: string, upstream: string, model: string | null) =>
  model === null ? channel === upstream || channel.startsWith(`${upstream}/`) : channel === `${upstream}/${model}`;

const channelsOf = (route: Route): string[] => (isPath(route) ? route.channels : route.channels.map((channel) => channel.channel));

export function wrongs(beat: Live, status: Status | null): Wrong[] {
  const found = ailing(beat).map(({ upstream, model, state, since, until }): Wrong => {
    const routes = (status?.routes ?? []).filter((route) => channelsOf(route).some((channel) => belongsTo(channel, upstream.name, model)));
    const names = new Set(routes.map((route) => route.route));
    const others = [
      ...new Set(
        routes.flatMap((route) =>
          isPath(route)
            ? route.channels.filter((channel) => !belongsTo(channel, upstream.name, model))
            : route.channels.filter((channel) => channel.picked && !belongsTo(channel.channel, upstream.name, model)).map((channel) => channel.channel),
        ),
      ),
    ];
    const traffic = beat.routes.filter((route) => names.has(route.route));
    const failing = traffic.reduce((sum, route) => sum + route.failed_per_second, 0);
    const saved = traffic.reduce((sum, route) => sum + route.saved_per_second, 0);
    return {
      subject: model === null ? upstream.name : `${upstream.name}/${model}`,
      since: since > 0 ? since : null,
      word: state,
      does: `${treatment(state)}; ${others.length > 0 ? `its requests go to ${list(others)}` : routes.length > 0 ? "nothing else can take its requests" : "no route uses it"}; ${nextStep(state, until)}`,
      callers:
        routes.length === 0
          ? "nothing"
          : failing > 0
            ? `errors: ${failing.toFixed(1)} a second on ${list([...names])}`
            : saved > 0
              ? `no errors: ${saved.toFixed(1)} requests a second are answered by another channel after a failure`
              : traffic.length > 0
                ? "no errors"
                : "nothing: there is no traffic",
      page: ["channels", upstream.name],
    };
  });
  const resting = beat.upstreams.flatMap((upstream) =>
    upstream.resting.map((key): Wrong => ({
      subject: `key ${key.alias}`,
      since: null,
      word: key.state,
      does: `${key.state === "refused" ? "tries no request with it" : "lets it rest"}${key.for_seconds === undefined ? "" : ` for ${span(key.for_seconds)}`}`,
      callers: "other keys and channels answer, where there are any",
      page: ["channels", upstream.name],
    })),
  );
  return [...found, ...unserved(beat, status), ...resting, ...surroundings(beat)];
}

/** What was never set up is not broken, unless somebody asks for what nothing else has. */
function unserved(beat: Live, status: Status | null): Wrong[] {
  const missing = beat.upstreams.filter((upstream) => !upstream.configured).map((upstream) => upstream.name);
  return beat.routes.flatMap(({ route: name, failed_per_second }): Wrong[] => {
    const route = status?.routes.find((route) => route.route === name);
    if (route === undefined || (!isPath(route) && route.fallback.length > 0)) return [];
    const channels = channelsOf(route);
    const gone = missing.filter((upstream) => channels.some((channel) => belongsTo(channel, upstream, null)));
    if (channels.length === 0 || !channels.every((channel) => gone.some((upstream) => belongsTo(channel, upstream, null)))) return [];
    return [
      {
        subject: name,
        since: null,
        word: "down",
        does: `has nowhere to send its requests: ${list(gone)} ${gone.length === 1 ? "is" : "are"} not configured, and nothing else is in the route`,
        callers: failed_per_second > 0 ? `errors: ${failed_per_second.toFixed(1)} a second` : "errors",
        page: ["routes", name],
      },
    ];
  });
}

function treatment(state: string): string {
  if (OUT.has(state)) return "sends nothing there";
  return state === "failing" ? "asks others first" : "sends hardly anything there";
}

/** An operator's word holds until it ends or is taken back. */
const SAID = new Set(["disabled", "draining", "forced_open"]);

function nextStep(state: string, until: number | undefined): string {
  if (SAID.has(state)) return "an operator wants it so";
  if (until !== undefined) return `the next trial comes ${soon(until)}`;
  if (state === "half_open") return "a few requests find out whether it is back";
  return state === "failing" ? "one request at a time finds out whether it is back" : "probes ask whether it is back";
}

/** What is no upstream. */
function surroundings(beat: Live): Wrong[] {
  const found: Wrong[] = [];
  const wrong = (subject: string, word: string, does: string, callers: string, page: string[]) =>
    found.push({ subject, since: null, word, does, callers, page });
  if (beat.refused) wrong("configuration", "refused", "goes on with the last good one; what is on disk cannot be used", "nothing", ["config"]);
  if (beat.store && !beat.store.here) {
    wrong("store", "away", `keeps the ledger's rows on disk until it is back (${beat.store.why ?? "no answer"})`, "nothing; no key can be made or changed", ["overview"]);
  }
  if (beat.ledger?.disk === "fails") {
    wrong("ledger", "fails", `keeps ${plural(beat.ledger.waiting, "row")} in memory; neither the store nor the disk takes them`, "nothing", ["overview"]);
  }
  if (beat.shared && !beat.shared.connected) {
    wrong("Redis", "away", `grants its own part of limits and learns by itself (${beat.shared.why ?? "no answer"})`, "nothing", ["overview"]);
  }
  return found;
}

function list(names: string[]): string {
  const shown = names.slice(0, 3);
  return names.length > shown.length ? `${shown.join(", ")} and ${names.length - shown.length} more` : shown.join(", ");
}

export const sayState = (word: string) => plain(word);
