// One request: what it waited for, which channels were looked at and why not others, and its attempts along its time.

import { Waterfall } from "../charts/waterfall.tsx";
import { useAnswer } from "../load.ts";
import { State } from "../parts/mark.tsx";
import { Answer, Empty, Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { link } from "../router.ts";
import type { Decision, Tried } from "../shapes.ts";
import { count, millis, moment, nanoDollars, plain } from "../words.ts";

export function Request({ id }: { id: string }) {
  const found = useAnswer<Decision>(`admin/requests/${encodeURIComponent(id)}`);
  return (
    <>
      <h1>Request {id}</h1>
      <Answer of={found}>
        {(decision) => (
          <>
            <Summary of={decision} />
            <Panel title="Attempts">
              {decision.tried.length === 0 ? <Empty>No upstream was asked.</Empty> : <Attempts of={decision} />}
            </Panel>
            <Looks of={decision} />
          </>
        )}
      </Answer>
    </>
  );
}

function Summary({ of: decision }: { of: Decision }) {
  const who = [decision.organisation, decision.team, decision.user, decision.key].filter((part) => part !== undefined);
  const waits = Object.entries(decision.waits ?? {});
  const instead = [
    decision.asked_route !== undefined && `asked of ${decision.asked_route}${decision.downgraded ? ", whose budget was spent" : ""}`,
    decision.arm !== undefined && `arm ${decision.arm}`,
    decision.replayed !== undefined && `answered from what was said before (${decision.replayed})`,
    decision.instead !== undefined && plain(decision.instead),
    decision.cut && "there was more of it than is kept",
    decision.shed !== undefined && `no room: ${plain(decision.shed)}`,
  ].filter((part) => typeof part === "string");
  return (
    <Panel title="What became of it" tools={<a href={link("requests")}>All requests</a>}>
      <dl class="facts">
        <dt>Outcome</dt>
        <dd>
          <State word={decision.outcome === "client_fault" || decision.outcome === "cancelled" ? "last" : decision.outcome} /> {decision.status} {decision.error !== undefined && <code>{decision.error}</code>}
        </dd>
        <dt>Came</dt>
        <dd>
          {moment(decision.at)}, took {millis(decision.millis)}
          {decision.first_byte !== undefined && `, first byte after ${millis(decision.first_byte)}`}; the gateway's own part of that {millis(decision.own)}
        </dd>
        {waits.length > 0 && (
          <>
            <dt>Waited for</dt>
            <dd>{waits.map(([what, waited]) => `${plain(what)} ${millis(waited)}`).join(", ")}</dd>
          </>
        )}
        <dt>Asked</dt>
        <dd>
          {decision.model} in {decision.dialect} ({decision.operation}
          {decision.stream && ", a stream"}){decision.priority !== undefined && `, priority ${decision.priority}`}; route <a href={link("routes", decision.route)}>{decision.route}</a>
          {instead.length > 0 && `; ${instead.join("; ")}`}
        </dd>
        {decision.trace !== undefined && (
          <>
            <dt>Trace</dt>
            <dd>
              <code>{decision.trace}</code>
            </dd>
          </>
        )}
        <dt>By</dt>
        <dd>{who.length > 0 ? who.join(" / ") : "nobody who is known"}</dd>
        <dt>Tokens</dt>
        <dd>
          {count(decision.input)} in{decision.cached !== undefined && ` (${count(decision.cached)} cached)`}, {decision.output === undefined ? "unknown" : count(decision.output)} out
          {decision.reasoning !== undefined && ` (${count(decision.reasoning)} reasoning)`}; cost {decision.cost_nano_usd === undefined ? "unknown" : nanoDollars(decision.cost_nano_usd)}
          {decision.estimated && ", estimated in part"}
        </dd>
      </dl>
    </Panel>
  );
}

function Attempts({ of: decision }: { of: Decision }) {
  const numeric = (name: string) => ({ name, numeric: true as const });
  return (
    <>
      <Waterfall of={decision} />
      <Table
        name="Attempts"
        heads={["Channel", "As", "Key", "Verdict", "Got to", numeric("Begun"), numeric("Sent"), numeric("Head"), numeric("First content"), numeric("Ended"), numeric("Tokens"), numeric("Cost")]}
      >
        {decision.tried.map((tried, at) => (
          <Attempt key={at} of={tried} />
        ))}
      </Table>
    </>
  );
}

function Attempt({ of: tried }: { of: Tried }) {
  const time = (at?: number) => <td class="number">{at === undefined ? "–" : millis(at)}</td>;
  return (
    <tr>
      <th scope="row">
        <a href={link("channels", tried.channel.split("/")[0] ?? "")}>{tried.channel}</a>
      </th>
      <td>{tried.part}</td>
      <td>{tried.credential ?? "–"}</td>
      <td>
        <State word={tried.verdict === "ok" ? "ok" : tried.verdict === "cancelled" ? "idle" : "failed"} say={plain(tried.verdict)} /> {tried.status}
        {tried.detail !== undefined && <small> {tried.detail}</small>}
      </td>
      <td>{plain(tried.stage)}</td>
      {time(tried.begun)}
      {time(tried.sent)}
      {time(tried.headers)}
      {time(tried.first_content)}
      {time(tried.ended)}
      <td class="number">{tried.output === undefined ? "–" : `${count(tried.input ?? 0)} → ${count(tried.output)}`}</td>
      <td class="number">{tried.cost_nano_usd === undefined ? "–" : nanoDollars(tried.cost_nano_usd)}</td>
    </tr>
  );
}

function Looks({ of: decision }: { of: Decision }) {
  if (decision.looks.length === 0) return null;
  return (
    <Panel title="Who was picked, and why not the others">
      <Table name="Looks at the channels" heads={["After", "Route", "Picked", "How each stood"]}>
        {decision.looks.map((look, at) => (
          <tr key={at}>
            <td>{millis(look.at)}</td>
            <td>{look.route}</td>
            <th scope="row">{look.picked ?? "nobody"}</th>
            <td>
              {look.channels.map((candidate) => (
                <span class="listed" key={candidate.channel}>
                  <State word={candidate.standing} say={`${candidate.channel}: ${plain(candidate.standing)}`} />
                </span>
              ))}
            </td>
          </tr>
        ))}
      </Table>
    </Panel>
  );
}
