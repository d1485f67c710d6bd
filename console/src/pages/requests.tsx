// The last requests: looked for by whatever is known of one, and one of them with all that became of it.

import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "../api.ts";
import { State } from "../parts/mark.tsx";
import { Empty, Panel, Trouble } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { link, place } from "../router.ts";
import type { Decision } from "../shapes.ts";
import { count, iso, millis, moment, nanoDollars, plural } from "../words.ts";
import { Request } from "./request.tsx";

interface Found {
  requests: Decision[];
  next_before: string | null;
  at_hand: number;
}

const FIELDS = ["key", "model", "route", "channel", "verdict", "status", "slower_than"] as const;
const NAMES: Record<(typeof FIELDS)[number], string> = {
  key: "Key",
  model: "Model",
  route: "Route",
  channel: "Channel",
  verdict: "Verdict or fault",
  status: "Status (429, 5xx)",
  slower_than: "Slower than, ms",
};
const OUTCOMES = ["ok", "client_fault", "refused", "failed", "broken", "cancelled", "mirrored"];
const PAGE = 50;

export function Requests() {
  const [id] = place.value.rest;
  return id === undefined ? <Search /> : <Request id={id} />;
}

function Search() {
  // What is looked for stands in the address, so that Back and a bookmark lead to it.
  const wanted = String(place.value.query);
  const latest = useRef(wanted);
  latest.current = wanted;
  const [asked, setAsked] = useState<Record<string, string>>({});
  const [found, setFound] = useState<Found | null>(null);
  const [error, setError] = useState<unknown>(null);
  const look = async (before: string | null) => {
    const query = new URLSearchParams(wanted);
    query.set("limit", String(PAGE));
    if (before !== null) query.set("before", before);
    try {
      const page = await ask<Found>("GET", `admin/requests?${query}`);
      if (wanted !== latest.current) return;
      setFound((known) => {
        if (before === null) return page;
        // Those that somebody has asked for twice come once.
        return known?.next_before === before ? { ...page, requests: [...known.requests, ...page.requests] } : known;
      });
      setError(null);
    } catch (error) {
      if (wanted === latest.current) setError(error);
    }
  };
  useEffect(() => {
    setAsked(Object.fromEntries(new URLSearchParams(wanted)));
    setFound(null);
    setError(null);
    void look(null);
  }, [wanted]);
  const submit = (event: Event) => {
    event.preventDefault();
    const query = String(new URLSearchParams(Object.entries(asked).filter(([, value]) => value.trim() !== "")));
    if (query === wanted) void look(null);
    else location.hash = query === "" ? link("requests") : `${link("requests")}?${query}`;
  };
  const set = (name: string) => (event: { currentTarget: { value: string } }) => setAsked({ ...asked, [name]: event.currentTarget.value });
  return (
    <>
      <h1>Requests</h1>
      <form class="row" onSubmit={submit}>
        {FIELDS.map((name, at) => (
          <label key={name}>
            {NAMES[name]}
            <input value={asked[name] ?? ""} onInput={set(name)} data-search={at === 0 ? true : undefined} />
          </label>
        ))}
        <label>
          Outcome
          <select value={asked.outcome ?? ""} onChange={set("outcome")}>
            <option value="">any</option>
            {OUTCOMES.map((outcome) => (
              <option key={outcome}>{outcome}</option>
            ))}
          </select>
        </label>
        <button type="submit" class="main">
          Look
        </button>
      </form>
      <Panel title="The newest first">
        {error !== null && <Trouble error={error} again={() => void look(null)} />}
        {found !== null && <Results found={found} />}
        {found?.next_before != null && (
          <p class="actions">
            <button type="button" onClick={() => void look(found.next_before)}>
              Older ones
            </button>
          </p>
        )}
      </Panel>
    </>
  );
}

function Results({ found: { requests, at_hand } }: { found: Found }) {
  if (requests.length === 0) {
    return <Empty>{at_hand === 0 ? "No request has ended since the start." : `None of the last ${plural(at_hand, "request")} is like that.`}</Empty>;
  }
  const numeric = (name: string) => ({ name, numeric: true as const });
  return (
    <Table name="Requests" heads={["When", "Request", "Outcome", "Route, model", "Channel", "Key", numeric("Attempts"), numeric("First byte"), numeric("Took"), numeric("Tokens"), numeric("Cost")]}>
      {requests.map((request) => (
        <tr key={`${request.request} ${request.outcome}`}>
          <td>
            <time dateTime={iso(request.at)}>{moment(request.at)}</time>
          </td>
          <th scope="row">
            <a href={link("requests", request.request)}>
              <code>{request.request.slice(-8)}</code>
            </a>
          </th>
          <td>
            <State word={request.outcome === "client_fault" || request.outcome === "cancelled" ? "last" : request.outcome} /> {request.status}
            {request.replayed !== undefined && <small> {request.replayed}</small>}
          </td>
          <td>
            {request.route} {request.model !== request.route && <small>{request.model}</small>}
          </td>
          <td>{request.channel || "–"}</td>
          <td>{request.key ?? "–"}</td>
          <td class="number">{request.attempts}</td>
          <td class="number">{request.first_byte === undefined ? "–" : millis(request.first_byte)}</td>
          <td class="number">{millis(request.millis)}</td>
          <td class="number">
            {count(request.input)} → {request.output === undefined ? "?" : count(request.output)}
          </td>
          <td class="number">{request.cost_nano_usd === undefined ? "?" : nanoDollars(request.cost_nano_usd)}</td>
        </tr>
      ))}
    </Table>
  );
}
