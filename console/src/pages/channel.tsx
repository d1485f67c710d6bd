// One upstream: what it was lately, its breakers, its models, its keys, what can be done about it, and who uses it.

import { Timeline, type Turn } from "../charts/timeline.tsx";
import { live } from "../live.ts";
import { useAnswer } from "../load.ts";
import { State } from "../parts/mark.tsx";
import { Answer, Empty, Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { link } from "../router.ts";
import type { Change, Override, Status, Upstream, UpstreamModel } from "../shapes.ts";
import { isPath } from "../shapes.ts";
import { ago, count, millis, moment, plain, span } from "../words.ts";
import { breakerWords } from "./channels.tsx";
import { Operate } from "./operate.tsx";

const EVERY = 2_000;

export function Channel({ name, status }: { name: string; status: Status }) {
  const found = useAnswer<Upstream>(`admin/upstreams/${encodeURIComponent(name)}`, EVERY);
  return (
    <Answer of={found}>
      {(upstream) => (
        <>
          <Now upstream={upstream} again={found.again} />
          <Lately upstream={upstream} />
          <Models upstream={upstream} again={found.again} />
          <Keys upstream={upstream} />
          <UsedBy upstream={upstream.name} status={status} />
        </>
      )}
    </Answer>
  );
}

const nowOf = (name: string) => live.value?.upstreams.find((known) => known.name === name);

function Now({ upstream, again }: { upstream: Upstream; again: () => void }) {
  const { breaker, pool } = upstream;
  const now = nowOf(upstream.name);
  return (
    <Panel title="Now" tools={<a href={link("channels")}>All channels</a>}>
      <dl class="facts">
        <dt>Provider</dt>
        <dd>
          {upstream.provider} at {upstream.address}
          {upstream.region && `, ${upstream.region}`}; speaks {upstream.speaks.join(", ")}
        </dd>
        <dt>Health</dt>
        <dd>{upstream.configured ? <State word={upstream.health} /> : <State word="unconfigured" say={`not configured: set ${upstream.missing?.join(", ")}`} />}</dd>
        <dt>Transport breaker</dt>
        <dd>
          <State word={breaker.state} say={breakerWords(breaker)} />
          {now && now.since > 0 && `, since ${moment(now.since)} (${ago(now.since)})`}; {breaker.recent_ok} good and {breaker.recent_bad} bad of late,{" "}
          {breaker.consecutive_failures} failures in a row, level {breaker.level}
        </dd>
        {upstream.override && (
          <>
            <dt>Operators say</dt>
            <dd>
              <Said of={upstream.override} />
            </dd>
          </>
        )}
        <dt>Connections</dt>
        <dd>
          {pool.in_use} in use, {pool.idle} idle, {pool.opening} opening; {pool.streams} streams; {count(upstream.in_flight)} requests in flight
        </dd>
      </dl>
      <Operate upstream={upstream.name} model={null} overridden={upstream.override} after={again} />
    </Panel>
  );
}

function Said({ of: { kind, since, for_seconds, reason, by } }: { of: Override }) {
  const word = kind === "forced_closed" ? "ok" : kind === "disabled" || kind === "draining" ? "disabled" : "forced_open";
  return (
    <>
      <State word={word} say={plain(kind)} /> by {by}, since {moment(since)}
      {for_seconds === undefined ? ", until it is taken back" : `, for another ${span(for_seconds)}`}
      {reason !== "" && `: ${reason}`}
    </>
  );
}

/** How long a band shows at least, in seconds. */
const BAND = 600;

/** What the breaker was, and when; before the first change it was what that one left. */
function turns(changes: Change[], state: string, from: number): Turn[] {
  const own = changes.filter((change) => change.of === "breaker");
  const first = own[0];
  return [{ at: from, state: first?.from ?? state }, ...own.map(({ at, to }) => ({ at, state: to }))];
}

function Lately({ upstream }: { upstream: Upstream }) {
  const to = Date.now() / 1000;
  const all = [
    { name: "transport", state: upstream.breaker.state, changes: upstream.timeline ?? [] },
    ...upstream.models.map((model) => ({ name: model.model, state: model.breaker.state, changes: model.timeline ?? [] })),
  ];
  const earliest = Math.min(...all.flatMap(({ changes }) => changes.map((change) => change.at)), to);
  const from = Math.min(to - BAND, earliest - 10);
  const events = all.flatMap(({ name, changes }) => changes.map((change) => ({ name, ...change }))).sort((a, b) => b.at - a.at);
  return (
    <Panel title="Lately">
      {all
        .filter(({ name, changes }) => name === "transport" || changes.length > 0)
        .slice(0, 8)
        .map(({ name, state, changes }) => (
          <div class="band-row" key={name}>
            <span>{name}</span>
            <Timeline turns={turns(changes, state, from)} from={from} to={to} name={`Breaker of ${name}`} />
          </div>
        ))}
      {events.length === 0 ? (
        <Empty>Nothing has changed since the start.</Empty>
      ) : (
        <Table name="What has changed" heads={["When", "What", "From", "To", "Why"]}>
          {events.slice(0, 20).map((event, at) => (
            <tr key={`${event.at} ${at}`}>
              <td>{moment(event.at)}</td>
              <th scope="row">
                {event.of} <small>{event.name}</small>
              </th>
              <td>{plain(event.from)}</td>
              <td>
                <State word={event.to} />
              </td>
              <td>{plain(event.reason)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}

function Models({ upstream, again }: { upstream: Upstream; again: () => void }) {
  const now = nowOf(upstream.name);
  const numeric = (name: string) => ({ name, numeric: true as const });
  return (
    <Panel title="Models">
      {upstream.models.length === 0 ? (
        <Empty>No route names a model of it.</Empty>
      ) : (
        <Table name={`Models of ${upstream.name}`} heads={["Model", "Breaker", numeric("Good"), numeric("Bad"), numeric("In a row"), numeric("In flight"), numeric("First content"), "What to do"]}>
          {upstream.models.map((model) => (
            <Model key={model.model} upstream={upstream.name} of={model} latency={now?.models.find((known) => known.model === model.model)?.latency_ms} again={again} />
          ))}
        </Table>
      )}
    </Panel>
  );
}

function Model({ upstream, of: { model, breaker, in_flight, override }, latency, again }: { upstream: string; of: UpstreamModel; latency?: number; again: () => void }) {
  return (
    <tr>
      <th scope="row">{model}</th>
      <td>
        <State word={breaker.state} say={breakerWords(breaker)} />
        {override && (
          <>
            {"; "}
            <Said of={override} />
          </>
        )}
      </td>
      <td class="number">{count(breaker.recent_ok)}</td>
      <td class="number">{count(breaker.recent_bad)}</td>
      <td class="number">{count(breaker.consecutive_failures)}</td>
      <td class="number">{count(in_flight)}</td>
      <td class="number">{latency === undefined ? "–" : millis(latency)}</td>
      <td>
        <Operate upstream={upstream} model={model} overridden={override} after={again} />
      </td>
    </tr>
  );
}

function Keys({ upstream }: { upstream: Upstream }) {
  return (
    <Panel title="Keys">
      {upstream.credentials.length === 0 ? (
        <Empty>It needs none.</Empty>
      ) : (
        <ul class="plain">
          {upstream.credentials.map((key) => (
            <li key={key.alias}>
              <State word={key.state} say={`${key.alias}: ${plain(key.state)}${key.for_seconds === undefined ? "" : ` for ${span(key.for_seconds)}`}`} />
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function UsedBy({ upstream, status }: { upstream: string; status: Status }) {
  const used = status.routes.filter((route) =>
    (isPath(route) ? route.channels : route.channels.map((channel) => channel.channel)).some((name) => name === upstream || name.startsWith(`${upstream}/`)),
  );
  return (
    <Panel title="Used by">
      {used.length === 0 ? (
        <Empty>No route.</Empty>
      ) : (
        <ul class="tags">
          {used.slice(0, 100).map((route) => (
            <li key={route.route}>
              <a href={link("routes", route.route)}>{route.route}</a>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
