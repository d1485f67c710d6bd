// One upstream: its breakers, its models, its keys, its connections, and the routes that use it.

import { State } from "../parts/mark.tsx";
import { Empty, Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { live } from "../live.ts";
import { link } from "../router.ts";
import type { Status, Upstream } from "../shapes.ts";
import { isPath } from "../shapes.ts";
import { ago, count, millis, moment, plain, span } from "../words.ts";
import { breakerWords } from "./channels.tsx";

export function Channel({ upstream, status }: { upstream: Upstream; status: Status; again: () => void }) {
  const now = live.value?.upstreams.find((known) => known.name === upstream.name);
  const { breaker } = upstream;
  return (
    <>
      <Panel title="Now" tools={<a href={link("channels")}>All channels</a>}>
        <dl class="facts">
          <dt>Provider</dt>
          <dd>
            {upstream.provider} at {upstream.address}
            {upstream.region && `, ${upstream.region}`}; speaks {upstream.speaks.join(", ")}
          </dd>
          <dt>Health</dt>
          <dd>
            {upstream.configured ? <State word={upstream.health} /> : <State word="unconfigured" say={`not configured: set ${upstream.missing?.join(", ")}`} />}
          </dd>
          <dt>Transport breaker</dt>
          <dd>
            <State word={breaker.state} say={breakerWords(breaker)} />
            {now && now.since > 0 && `, since ${moment(now.since)} (${ago(now.since)})`}; {breaker.recent_ok} good and {breaker.recent_bad} bad of late,{" "}
            {breaker.consecutive_failures} failures in a row, level {breaker.level}
          </dd>
          <dt>Connections</dt>
          <dd>
            {upstream.pool.in_use} in use, {upstream.pool.idle} idle, {upstream.pool.opening} opening; {upstream.pool.streams} streams; {count(upstream.in_flight)} requests in flight
          </dd>
        </dl>
      </Panel>
      <Panel title="Models">
        {upstream.models.length === 0 ? (
          <Empty>No route names a model of it.</Empty>
        ) : (
          <Table
            name={`Models of ${upstream.name}`}
            heads={["Model", "Breaker", "Since", { name: "Good", numeric: true }, { name: "Bad", numeric: true }, { name: "In a row", numeric: true }, { name: "In flight", numeric: true }, { name: "First content", numeric: true }]}
          >
            {upstream.models.map(({ model, breaker, in_flight }) => {
              const current = now?.models.find((known) => known.model === model);
              return (
                <tr key={model}>
                  <th scope="row">{model}</th>
                  <td>
                    <State word={breaker.state} say={breakerWords(breaker)} />
                  </td>
                  <td>{current && current.since > 0 && breaker.state !== "closed" ? ago(current.since) : "–"}</td>
                  <td class="number">{count(breaker.recent_ok)}</td>
                  <td class="number">{count(breaker.recent_bad)}</td>
                  <td class="number">{count(breaker.consecutive_failures)}</td>
                  <td class="number">{count(in_flight)}</td>
                  <td class="number">{current?.latency_ms === undefined ? "–" : millis(current.latency_ms)}</td>
                </tr>
              );
            })}
          </Table>
        )}
      </Panel>
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
      <UsedBy upstream={upstream.name} status={status} />
    </>
  );
}

function UsedBy({ upstream, status }: { upstream: string; status: Status }) {
  const used = status.routes.filter((route) => (isPath(route) ? route.channels : route.channels.map((channel) => channel.channel)).some((name) => name === upstream || name.startsWith(`${upstream}/`)));
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
