// Upstreams with their models, keys and connections; one of them with all that is known of it.

import { useState } from "preact/hooks";
import { live } from "../live.ts";
import { useAnswer } from "../load.ts";
import { State } from "../parts/mark.tsx";
import { Answer, Empty, Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { link, place } from "../router.ts";
import type { Breaker, Status, Upstream } from "../shapes.ts";
import { among, count, plain, soon, span } from "../words.ts";
import { Channel } from "./channel.tsx";

const EVERY = 2_000;

export function Channels() {
  const [name] = place.value.rest;
  const status = useAnswer<Status>("admin/status", EVERY);
  return (
    <>
      <h1>{name ?? "Channels"}</h1>
      <Answer of={status}>
        {(status) => {
          if (name === undefined) return <All upstreams={status.upstreams} />;
          const found = status.upstreams.find((upstream) => upstream.name === name);
          return found ? <Channel name={name} status={status} /> : <Empty>There is no upstream {name} any more.</Empty>;
        }}
      </Answer>
    </>
  );
}

export function breakerWords(breaker: Breaker): string {
  const next = breaker.opens_again_in_seconds;
  return next === undefined ? plain(breaker.state) : `${plain(breaker.state)}, trial ${soon(next)}`;
}

function All({ upstreams }: { upstreams: Upstream[] }) {
  const [wanted, setWanted] = useState("");
  const shown = upstreams.filter((upstream) => among(wanted, upstream.name, upstream.provider, ...upstream.models.map((model) => model.model)));
  return (
    <Panel
      title="Upstreams"
      tools={
        <label class="inline">
          Filter
          <input type="search" data-search value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
        </label>
      }
    >
      {shown.length === 0 ? (
        <Empty>None has that in its name, provider or models.</Empty>
      ) : (
        <Table
          name="Upstreams"
          heads={["Upstream", "Provider", "Health", "Transport breaker", "Models", "Keys", { name: "In flight", numeric: true }, { name: "Connections", numeric: true }]}
        >
          {shown.map((upstream) => (
            <tr key={upstream.name}>
              <th scope="row">
                <a href={link("channels", upstream.name)}>{upstream.name}</a>
              </th>
              <td>
                {upstream.provider} <small>{upstream.address}</small>
              </td>
              <td>{upstream.override ? <State word={upstream.override.kind} /> : upstream.configured ? <State word={upstream.health} /> : <State word="unconfigured" say={`set ${upstream.missing?.join(", ")}`} />}</td>
              <td>
                <State word={upstream.breaker.state} say={breakerWords(upstream.breaker)} />
              </td>
              <td>{models(upstream)}</td>
              <td>{keys(upstream)}</td>
              <td class="number">{count(live.value?.upstreams.find((now) => now.name === upstream.name)?.in_flight ?? upstream.in_flight)}</td>
              <td class="number">
                {upstream.pool.in_use} of {upstream.pool.in_use + upstream.pool.idle + upstream.pool.opening}
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}

function models({ models }: Upstream) {
  const ailing = models.filter((model) => model.breaker.state !== "closed");
  if (models.length === 0) return "as asked";
  if (ailing.length === 0) return <State word="closed" say={`all ${models.length} closed`} />;
  return ailing.map((model) => (
    <span key={model.model} class="listed">
      <State word={model.breaker.state} say={`${model.model}: ${breakerWords(model.breaker)}`} />
    </span>
  ));
}

function keys({ credentials }: Upstream) {
  const resting = credentials.filter((key) => key.state !== "ready");
  if (credentials.length === 0) return "none needed";
  if (resting.length === 0) return <State word="ready" say={`all ${credentials.length} ready`} />;
  return resting.map((key) => (
    <span key={key.alias} class="listed">
      <State word={key.state} say={`${key.alias}: ${plain(key.state)}${key.for_seconds === undefined ? "" : ` for ${span(key.for_seconds)}`}`} />
    </span>
  ));
}
