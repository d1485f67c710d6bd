// What a rehearsal came to: the figures, who served when, what callers saw, and what breakers did.

import type { ComponentChildren } from "preact";
import { Bars, FILLS } from "../charts/bars.tsx";
import { Lines } from "../charts/lines.tsx";
import { Timeline } from "../charts/timeline.tsx";
import { State } from "../parts/mark.tsx";
import { Empty, Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { type Came, type Lane, type Minute, type Rehearsed, bars, busiest, clock } from "../rehearsal.ts";
import { count, dollars, percent, plain, short, span } from "../words.ts";

/** Bands that are shown: of those on which most happened. */
const MOST_LANES = 12;

export function Outcome({ of: { about, remarks, claims, reports } }: { of: Came }) {
  return (
    <>
      <Panel title="What was rehearsed">
        <ul class="plain">
          {[...about, ...remarks].map((line) => (
            <li key={line}>{line}</li>
          ))}
          {claims.map(({ claim, holds }) => (
            <li key={claim}>
              <State word={holds ? "ok" : "failed"} say={claim} />
            </li>
          ))}
        </ul>
      </Panel>
      <div class="beside">
        {reports.map((report) => (
          <Report key={report.config} of={report} />
        ))}
      </div>
    </>
  );
}

function Report({ of: { config, totals, minutes, timeline, not_rehearsed, does_not_happen } }: { of: Rehearsed }) {
  const known = (seconds: number | null) => (seconds === null ? "unknown" : span(seconds));
  const reasons = Object.entries(totals.reasons).map(([reason, times]) => `${plain(reason)} ${count(times)}`);
  const lasts = clock(minutes.length);
  return (
    <section aria-label={`Report of ${config}`}>
      <h2>{config}</h2>
      {does_not_happen.map((line) => (
        <p class="error" key={line}>
          {line}
        </p>
      ))}
      <dl class="figures">
        <Figure name="Success" value={totals.success === null ? "unknown" : percent(totals.answered, totals.requests - totals.hung_up)} more={reasons.join(", ")} />
        <Figure name="Requests" value={count(totals.requests)} more={`${count(totals.failed)} failed, ${count(totals.broken)} broke, ${count(totals.hung_up)} hung up`} />
        <Figure name="First token" value={known(totals.p50_ttft)} more={`p99 ${known(totals.p99_ttft)}`} />
        <Figure name="Attempts a request" value={totals.amplification.toFixed(3)} more={`${count(totals.attempts)} in all`} />
        <Figure name="Recovery" value={totals.recovery === null ? "not seen" : span(totals.recovery)} more="until it had its share again" />
        <Figure name="Cost" value={totals.cost_usd === null ? "unknown" : dollars(totals.cost_usd)} more={totals.unpriced_attempts > 0 ? `${count(totals.unpriced_attempts)} attempts without a price` : ""} />
      </dl>
      {minutes.length === 0 ? (
        <Empty>Nobody came.</Empty>
      ) : (
        <>
          <Part title="Who served">
            <Served minutes={minutes} />
          </Part>
          <Part title="What callers saw">
            <Seen minutes={minutes} />
          </Part>
          <Part title="Time to the first token">
            <Lines
              name="Time to the first token"
              lines={[
                { name: "median", values: minutes.map((minute) => minute.p50_ttft) },
                { name: "99th percentile (broken line)", values: minutes.map((minute) => minute.p99_ttft) },
              ]}
              say={span}
              from="0:00"
              to={lasts}
            />
          </Part>
          <Part title="Breakers and keys">
            <Bands lanes={timeline} end={minutes.length * 60} />
          </Part>
          <details>
            <summary>Minute by minute</summary>
            <EveryMinute minutes={minutes} />
          </details>
        </>
      )}
      {not_rehearsed.length > 0 && (
        <p>
          <small>Not rehearsed: {not_rehearsed.join("; ")}.</small>
        </p>
      )}
    </section>
  );
}

/** Of a report; two of them may stand beside each other, so it is no landmark. */
function Part({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="panel">
      <h3>{title}</h3>
      {children}
    </div>
  );
}

function Figure({ name, value, more }: { name: string; value: string; more: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <strong>{value}</strong> <small>{more}</small>
      </dd>
    </div>
  );
}

function Served({ minutes }: { minutes: Minute[] }) {
  const shown = bars(minutes);
  const names = busiest(minutes);
  const [own, others] = [names.slice(0, FILLS - 1), names.slice(FILLS - 1)];
  const sum = (names: string[], what: "good" | "bad") => shown.map(({ attempts }) => names.reduce((sum, name) => sum + (attempts[name]?.[what] ?? 0), 0));
  const series = [
    ...own.map((name) => ({ name, values: sum([name], "good") })),
    ...(others.length > 0 ? [{ name: "others", values: sum(others, "good") }] : []),
    { name: "attempts that failed", values: sum(names, "bad"), fill: "fill-bad" },
  ];
  return <Bars name="Attempts on each upstream" labels={shown.map((bar) => clock(bar.minute))} series={series} say={short} />;
}

function Seen({ minutes }: { minutes: Minute[] }) {
  const shown = bars(minutes);
  const series = [
    { name: "answered", values: shown.map((bar) => bar.answered), fill: "fill-good" },
    { name: "broke off", values: shown.map((bar) => bar.broken), fill: "fill-warn" },
    { name: "failed", values: shown.map((bar) => bar.failed), fill: "fill-bad" },
    { name: "hung up", values: shown.map((bar) => bar.hung_up), fill: "fill-idle" },
  ];
  return <Bars name="What callers saw" labels={shown.map((bar) => clock(bar.minute))} series={series} say={short} />;
}

function Bands({ lanes, end }: { lanes: Lane[]; end: number }) {
  const shown = [...lanes].sort((a, b) => b.spans.length - a.spans.length).slice(0, MOST_LANES);
  if (shown.length === 0) return <Empty>Nothing of them was used.</Empty>;
  return (
    <>
      {shown
        .sort((a, b) => a.of.localeCompare(b.of))
        .map(({ of, spans }) => (
          <div class="band-row" key={of}>
            <span>{of}</span>
            <Timeline turns={spans.map(({ from, state }) => ({ at: from, state }))} from={0} to={end} name={of} say={(at) => clock(at / 60)} last={clock(end / 60)} />
          </div>
        ))}
      {lanes.length > MOST_LANES && <p>And {count(lanes.length - MOST_LANES)} on which less happened.</p>}
    </>
  );
}

function EveryMinute({ minutes }: { minutes: Minute[] }) {
  const numeric = (name: string) => ({ name, numeric: true as const });
  const names = busiest(minutes);
  const known = (seconds: number | null) => (seconds === null ? "–" : span(seconds));
  return (
    <Table
      name="Minute by minute"
      heads={[numeric("Minute"), numeric("Requests"), numeric("Answered"), numeric("Failed"), numeric("Broke off"), numeric("Median"), numeric("p99"), ...names.map((name) => numeric(`${name}: good + bad`))]}
    >
      {minutes.map((minute) => (
        <tr key={minute.minute}>
          <th scope="row" class="number">
            {clock(minute.minute)}
          </th>
          {[minute.requests, minute.answered, minute.failed, minute.broken].map((value, at) => (
            <td class="number" key={at}>
              {count(value)}
            </td>
          ))}
          <td class="number">{known(minute.p50_ttft)}</td>
          <td class="number">{known(minute.p99_ttft)}</td>
          {names.map((name) => (
            <td class="number" key={name}>
              {count(minute.attempts[name]?.good ?? 0)} + {count(minute.attempts[name]?.bad ?? 0)}
            </td>
          ))}
        </tr>
      ))}
    </Table>
  );
}
