// Where requests go: every route as a picture, and what would become of one request, with why not elsewhere.

import { useState } from "preact/hooks";
import { ask } from "../api.ts";
import { Spark } from "../charts/spark.tsx";
import { Tiers } from "../charts/tiers.tsx";
import { live, rates } from "../live.ts";
import { useAnswer } from "../load.ts";
import { State } from "../parts/mark.tsx";
import { Answer, Empty, Panel, Trouble } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { link, place } from "../router.ts";
import type { Explained, Route, Status } from "../shapes.ts";
import { isPath } from "../shapes.ts";
import { among, millis, plain, rate } from "../words.ts";

const EVERY = 3_000;

export function Routes() {
  const [name] = place.value.rest;
  const status = useAnswer<Status>("admin/status", EVERY);
  return (
    <>
      <h1>{name ?? "Routes"}</h1>
      <Answer of={status}>
        {({ routes }) => {
          if (name === undefined) return <All routes={routes} />;
          const found = routes.find((route) => route.route === name);
          return found ? <One key={name} route={found} /> : <Empty>There is no route {name} any more.</Empty>;
        }}
      </Answer>
      {name === undefined && <Explain />}
    </>
  );
}

function All({ routes }: { routes: Route[] }) {
  const [wanted, setWanted] = useState("");
  const now = new Map((live.value?.routes ?? []).map((route) => [route.route, route]));
  const shown = routes.filter((route) => among(wanted, route.route));
  const most = Math.max(1, ...[...rates.value.values()].flat());
  return (
    <Panel
      title="All routes"
      tools={
        <label class="inline">
          Filter
          <input type="search" data-search value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
        </label>
      }
    >
      {shown.length === 0 && <Empty>{routes.length === 0 ? "There is none; add one to routing.yaml." : "None has that in its name."}</Empty>}
      {shown.length > 0 && (
        <Table name="Routes" heads={["Route", "Goes to", "Selection", { name: "Requests/s", numeric: true }, "Last minute", { name: "Failed/s", numeric: true }]}>
          {shown.slice(0, 300).map((route) => {
            const traffic = now.get(route.route);
            return (
              <tr key={route.route}>
                <th scope="row">
                  <a href={link("routes", route.route)}>{route.route}</a>
                </th>
                <td>{goesTo(route)}</td>
                <td>{isPath(route) ? "by path" : plain(route.select)}</td>
                <td class="number">{rate(traffic?.per_second ?? 0)}</td>
                <td>
                  <Spark values={rates.value.get(route.route) ?? [0, 0]} most={most} />
                </td>
                <td class="number">{rate(traffic?.failed_per_second ?? 0)}</td>
              </tr>
            );
          })}
        </Table>
      )}
      {shown.length > 300 && <p class="empty">{shown.length - 300} more; filter by name to see them.</p>}
    </Panel>
  );
}

function goesTo(route: Route) {
  if (isPath(route)) return route.channels.join(", ");
  const picked = route.channels.filter((channel) => channel.picked);
  if (picked.length === 0) return <State word="down" say={route.channels.length === 0 ? "no channel" : "nobody can take it now"} />;
  const others = route.channels.length - picked.length;
  return `${picked.map((channel) => channel.channel).join(", ")}${others > 0 ? ` (${others} not)` : ""}`;
}

function One({ route }: { route: Route }) {
  const traffic = live.value?.routes.find((known) => known.route === route.route);
  if (isPath(route)) {
    return (
      <Panel title="Channels">
        <p>Requests for paths under {route.route} go to {route.channels.join(", ")}.</p>
      </Panel>
    );
  }
  return (
    <>
      <Panel title="Where a request would go now" tools={<a href={link("routes")}>All routes</a>}>
        <Tiers route={route} perSecond={traffic?.per_second ?? 0} />
      </Panel>
      <Judged explained={route} />
      <Explain model={route.route} />
    </>
  );
}

function Judged({ explained }: { explained: Explained }) {
  return (
    <Panel title="Channels, and why">
      <Table
        name={`Channels of ${explained.route}`}
        heads={["Channel", { name: "Tier", numeric: true }, { name: "Weight", numeric: true }, "Picked", "Why", "Asked in", { name: "In flight", numeric: true }, { name: "First content", numeric: true }]}
      >
        {explained.channels.map((channel) => (
          <tr key={channel.channel}>
            <th scope="row">
              <a href={link("channels", channel.channel.split("/")[0] ?? "")}>{channel.channel}</a>
            </th>
            <td class="number">{channel.tier}</td>
            <td class="number">{channel.ramp < 1 ? `${channel.weight} × ${channel.ramp.toFixed(2)}` : channel.weight}</td>
            <td>
              <State word={channel.picked ? "ok" : channel.standing} say={channel.picked ? "yes" : `no: ${plain(channel.standing)}`} />
            </td>
            <td>{[channel.detail, channel.hedge].filter((part) => part !== null && part !== "").join("; ")}</td>
            <td>{channel.asked_in ?? "–"}</td>
            <td class="number">
              {channel.in_flight} of {channel.limit}
            </td>
            <td class="number">{channel.latency_ms === null ? "–" : millis(channel.latency_ms)}</td>
          </tr>
        ))}
      </Table>
      <dl class="facts">
        {explained.steering.length > 0 && (
          <>
            <dt>Steering</dt>
            <dd>{explained.steering.join("; ")}</dd>
          </>
        )}
        <dt>When none is left</dt>
        <dd>{explained.on_exhausted.join(", then ")}</dd>
        {explained.fallback.length > 0 && (
          <>
            <dt>Fallback</dt>
            <dd>{explained.fallback.join(", ")}</dd>
          </>
        )}
        <dt>Handling</dt>
        <dd>{[`${plain(explained.select)}; a stream that breaks: ${plain(explained.continuation)}; ${explained.delivery}`, ...explained.handling].join("; ")}</dd>
      </dl>
    </Panel>
  );
}

const DIALECTS = ["openai", "responses", "anthropic", "gemini", "cohere", "bedrock"];

function Explain({ model: begins = "" }: { model?: string }) {
  const [model, setModel] = useState(begins);
  const [dialect, setDialect] = useState("");
  const [key, setKey] = useState("");
  const [needs, setNeeds] = useState<string[]>([]);
  const [tokens, setTokens] = useState("");
  const [found, setFound] = useState<Explained | null>(null);
  const [error, setError] = useState<unknown>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    const query = new URLSearchParams({ model });
    if (dialect !== "") query.set("dialect", dialect);
    if (key !== "") query.set("key", key);
    if (needs.length > 0) query.set("needs", needs.join(","));
    if (tokens !== "") query.set("prompt_tokens", tokens);
    try {
      setFound(await ask<Explained>("GET", `admin/explain?${query}`));
      setError(null);
    } catch (error) {
      setFound(null);
      setError(error);
    }
  };
  const toggle = (need: string) => setNeeds(needs.includes(need) ? needs.filter((known) => known !== need) : [...needs, need]);
  return (
    <>
      <Panel title="Where would this request go?">
        <form class="row" onSubmit={(event) => void submit(event)}>
          <label>
            Model
            <input required value={model} onInput={(event) => setModel(event.currentTarget.value)} />
          </label>
          <label>
            The caller speaks
            <select value={dialect} onChange={(event) => setDialect(event.currentTarget.value)}>
              <option value="">the channels' dialect</option>
              {DIALECTS.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <label>
            Key
            <input value={key} placeholder="anybody" onInput={(event) => setKey(event.currentTarget.value)} />
          </label>
          <label>
            Prompt tokens
            <input type="number" min="0" value={tokens} placeholder="0" onInput={(event) => setTokens(event.currentTarget.value)} />
          </label>
          <fieldset class="inline">
            <legend>It brings</legend>
            {["tools", "vision"].map((need) => (
              <label key={need} class="check">
                <input type="checkbox" checked={needs.includes(need)} onChange={() => toggle(need)} /> {need}
              </label>
            ))}
          </fieldset>
          <button type="submit" class="main">
            Explain
          </button>
        </form>
        {error !== null && <Trouble error={error} />}
        {found !== null && (
          <div aria-live="polite">
            <p>
              Route <a href={link("routes", found.route)}>{found.route}</a> takes it.
            </p>
            <Tiers route={found} perSecond={live.value?.routes.find((route) => route.route === found.route)?.per_second ?? 0} />
          </div>
        )}
      </Panel>
      {found !== null && <Judged explained={found} />}
    </>
  );
}
