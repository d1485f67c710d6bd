// What is broken, what is done about it, and what callers notice: at one glance.

import { Traffic } from "../charts/traffic.tsx";
import { useAnswer } from "../load.ts";
import { history, live, standing } from "../live.ts";
import { Act } from "../parts/act.tsx";
import { kindOf, Mark, State } from "../parts/mark.tsx";
import { Answer, Empty, Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { ask } from "../api.ts";
import { link } from "../router.ts";
import type { Alerts, Live, LiveUpstream, Second, Status } from "../shapes.ts";
import { modelWord, upstreamWord, wrongs } from "../trouble.ts";
import { ago, bytes, count, iso, millis, moment, percent, plain, plural, rate, soon, span } from "../words.ts";

/** How often what no beat says is asked for, in milliseconds. */
const EVERY = 5_000;

export function Overview() {
  const status = useAnswer<Status>("admin/status", EVERY);
  const beat = live.value;
  if (standing.value === "no access") {
    return (
      <>
        <h1>Overview</h1>
        <Empty>What happens here is not for you to read; other pages may be.</Empty>
      </>
    );
  }
  return (
    <>
      <h1 class="unseen">Overview</h1>
      {beat === null ? <Empty>Waiting for the first beat …</Empty> : <Now beat={beat} status={status.value} />}
      <Answer of={status}>{(status) => <Surroundings status={status} again={() => undefined} />}</Answer>
    </>
  );
}

function Now({ beat, status }: { beat: Live; status: Status | null }) {
  return (
    <>
      <Wrongs beat={beat} status={status} />
      <Figures beat={beat} />
      <Panel title="Traffic">
        <Traffic seconds={history.value} />
      </Panel>
      <div class="columns uneven">
        <Upstreams upstreams={beat.upstreams} />
        <Firing />
      </div>
    </>
  );
}

function Wrongs({ beat, status }: { beat: Live; status: Status | null }) {
  const found = wrongs(beat, status);
  const banner = <Banner at={beat.at} clear={found.length === 0} />;
  if (found.length === 0) return banner;
  return (
    <>
      {banner}
      <section class="panel wrongs" aria-label="What is wrong">
        <ul>
          {found.map((wrong) => (
            <li key={`${wrong.subject} ${wrong.word}`}>
              <h2>
                <Mark kind={kindOf(wrong.word)} /> <a href={link(wrong.page[0] ?? "overview", ...wrong.page.slice(1))}>{wrong.subject}</a> is {plain(wrong.word)}
                {wrong.since !== null && (
                  <small>
                    since <time dateTime={iso(wrong.since)}>{moment(wrong.since)}</time> ({ago(wrong.since)})
                  </small>
                )}
              </h2>
              <dl>
                <dt>Mainstay</dt>
                <dd>{wrong.does}</dd>
                <dt>Callers see</dt>
                <dd>{wrong.callers}</dd>
              </dl>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}

/** What the list of what is wrong does not say: that it is old, or that callers see failures all the same. */
function Banner({ at, clear }: { at: number; clear: boolean }) {
  const seconds = history.value;
  const sum = (key: keyof Second) => seconds.reduce((sum, second) => sum + second[key], 0);
  if (standing.value !== "live") {
    // Whoever comes back to a page that rested is not to be alarmed.
    const kind = standing.value === "stale" ? "warn" : "idle";
    return (
      <p class={`banner ${kind}`}>
        <Mark kind={kind} />{" "}
        <strong role="status">This is not of now.</strong> It is as of <time dateTime={iso(at)}>{moment(at)}</time>; how things are since then is not known here.
      </p>
    );
  }
  const [failed, broken] = [sum("failed"), sum("broken")];
  if (failed + broken > 0) {
    const since = seconds.length - 1 - seconds.findLastIndex((second) => second.failed + second.broken > 0);
    const kind = since < LATELY ? "bad" : "warn";
    return (
      <p class={`banner ${kind}`}>
        <Mark kind={kind} /> <strong role="status">{kind === "bad" ? "Callers see failures." : "Callers saw failures."}</strong>{" "}
        {plural(failed + broken, "request")} in 5 min, the last one {since === 0 ? "just now" : `${span(since)} ago`}
        {clear && "; yet no upstream is out of use"}. Look at{" "}
        {failed > 0 && <a href={`${link("requests")}?outcome=failed`}>those that failed</a>}
        {failed > 0 && broken > 0 && " and "}
        {broken > 0 && <a href={`${link("requests")}?outcome=broken`}>those that broke off</a>}.
      </p>
    );
  }
  if (!clear) return null;
  const refused = sum("refused");
  return (
    <p class="banner good">
      <Mark kind="good" /> <strong role="status">Everything works.</strong> No upstream is out of use, and nothing here is away.
      {refused > 0 && (
        <>
          {" "}
          <a href={`${link("requests")}?outcome=refused`}>{plural(refused, "request was", "requests were")} refused</a> in 5 min.
        </>
      )}
    </p>
  );
}

/** Seconds in which a failure is of now. */
const LATELY = 30;

const SPOKEN: (keyof Second)[] = ["ok", "client_fault", "refused", "failed", "broken", "cancelled"];

function Figures({ beat }: { beat: Live }) {
  const seconds = history.value;
  const sum = (key: keyof Second) => seconds.reduce((sum, second) => sum + second[key], 0);
  const last = seconds.slice(-5);
  const perSecond = last.reduce((total, second) => total + SPOKEN.reduce((all, key) => all + second[key], 0), 0) / Math.max(1, last.length);
  const good = sum("ok") + sum("client_fault");
  const judged = good + sum("failed") + sum("broken");
  const came = SPOKEN.reduce((all, key) => all + sum(key), 0);
  const figures: { name: string; value: string; note: string }[] = [
    { name: "Requests a second", value: rate(perSecond), note: "over 5 s" },
    { name: "Success callers saw", value: percent(good, judged), note: judged > 0 ? `${count(judged)} in 5 min` : came > 0 ? "all refused or given up" : "no traffic in 5 min" },
    { name: "Failures nobody saw", value: count(sum("saved")), note: "saved in 5 min" },
    { name: "Failures callers saw", value: count(sum("failed") + sum("broken")), note: "in 5 min" },
    { name: "Refused", value: count(sum("refused")), note: "limits, budgets, keys, no room" },
    { name: "In flight", value: count(beat.in_flight), note: plural(beat.connections, "connection") },
  ];
  return (
    <dl class="figures">
      {figures.map(({ name, value, note }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <strong>{value}</strong> <small>{note}</small>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Upstreams({ upstreams }: { upstreams: LiveUpstream[] }) {
  return (
    <Panel title="Upstreams" tools={<a href={link("channels")}>All channels</a>}>
      <Table name="Upstreams and their models" heads={["Upstream, model", "State", number("In flight"), number("Good, 10 s"), number("Bad, 10 s"), number("First content")]}>
        {upstreams.map((upstream) => (
          <>
            <tr key={upstream.name}>
              <th scope="row">
                <a href={link("channels", upstream.name)}>{upstream.name}</a>
              </th>
              <td>{stateOf(upstream)}</td>
              <td class="number">{count(upstream.in_flight)}</td>
              <td class="number">{count(upstream.ok)}</td>
              <td class="number">{count(upstream.bad)}</td>
              <td class="number" />
            </tr>
            {upstream.models.map((model) => (
              <tr key={`${upstream.name} ${model.model}`} class="below">
                <th scope="row">{model.model}</th>
                <td>
                  <State word={modelWord(model)} say={`${plain(modelWord(model))}${trial(model.until_seconds)}`} />
                </td>
                <td class="number">{count(model.in_flight)}</td>
                <td class="number">{count(model.ok)}</td>
                <td class="number">{count(model.bad)}</td>
                <td class="number">{model.latency_ms === undefined ? "–" : millis(model.latency_ms)}</td>
              </tr>
            ))}
          </>
        ))}
      </Table>
    </Panel>
  );
}

const number = (name: string) => ({ name, numeric: true as const });

function stateOf(upstream: LiveUpstream) {
  if (!upstream.configured) return <State word="unconfigured" say="not configured" />;
  const word = upstreamWord(upstream);
  if (word === "closed") return <State word="closed" say={upstream.health === "up" ? "up" : "in use"} />;
  return <State word={word} say={`${plain(word)}${trial(upstream.until_seconds)}`} />;
}

function trial(seconds: number | undefined): string {
  return seconds === undefined ? "" : `, trial ${soon(seconds)}`;
}

function Firing() {
  const alerts = useAnswer<Alerts>("admin/alerts", EVERY);
  return (
    <Panel title="Alerts">
      <Answer of={alerts}>
        {({ firing, history, webhooks }) => (
          <>
            {firing.length === 0 ? <Empty>None fires.</Empty> : null}
            <ul class="events">
              {firing.map((alert) => (
                <li key={`${alert.kind} ${alert.subject}`}>
                  <Mark kind="bad" /> <strong>{plain(alert.kind)}</strong> {alert.text} <small>since {moment(alert.since)}</small>
                </li>
              ))}
              {[...history]
                .sort((a, b) => b.at - a.at)
                .slice(0, 6)
                .map((event, at) => (
                  <li key={at} class="past">
                    <Mark kind={event.state === "firing" ? "warn" : "good"} /> {event.text} <small>{moment(event.at)}</small>
                  </li>
                ))}
            </ul>
            {webhooks.length > 0 && (
              <p class="actions">
                <Act
                  label="Send a test"
                  act={async () => {
                    const { webhooks } = await ask<{ webhooks: string[] }>("POST", "admin/alerts/test");
                    return `A test is on its way to ${webhooks.join(", ")}.`;
                  }}
                  after={alerts.again}
                />
              </p>
            )}
          </>
        )}
      </Answer>
    </Panel>
  );
}

function Surroundings({ status }: { status: Status; again: () => void }) {
  const { configuration, store, ledger, shared, memory } = status;
  return (
    <Panel title="The gateway">
      <dl class="facts">
        <dt>Version</dt>
        <dd>
          {status.version}, up for {span(status.uptime_seconds)}
        </dd>
        <dt>Configuration</dt>
        <dd>
          <State word={configuration.refused === undefined ? "ok" : "refused"} say={configuration.refused === undefined ? "in force" : "what is on disk cannot be used"} />{" "}
          {configuration.source}, revision <code>{configuration.revision}</code>, since {moment(configuration.applied_at)}
          {configuration.refused !== undefined && <pre class="problem">{configuration.refused}</pre>}
        </dd>
        <dt>Store</dt>
        <dd>{store ? <State word={store.here ? "here" : "away"} say={`${store.database}: ${store.here ? "here" : (store.why ?? "away")}`} /> : "none"}</dd>
        <dt>Ledger</dt>
        <dd>
          {ledger ? (
            <State
              word={ledger.disk === "fails" ? "fails" : ledger.spooled_batches > 0 ? "cooling" : "works"}
              say={`${plural(ledger.waiting, "row")} waiting, ${plural(ledger.spooled_batches, "batch", "batches")} on disk, ${span(ledger.lag_seconds)} behind`}
            />
          ) : (
            "none is kept"
          )}
        </dd>
        <dt>Redis</dt>
        <dd>{shared ? <State word={shared.connected ? "here" : "away"} say={shared.connected ? "connected" : (shared.why ?? "away")} /> : "not used"}</dd>
        <dt>Memory for requests</dt>
        <dd>
          {bytes(memory.held_bytes)} of {bytes(memory.limit_bytes)}
        </dd>
      </dl>
    </Panel>
  );
}
