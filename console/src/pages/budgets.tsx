// What may be spent and used, and how much of it is gone.

import { useAnswer } from "../load.ts";
import { Mark } from "../parts/mark.tsx";
import { Answer, Empty, Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import type { Budget, Limits } from "../shapes.ts";
import { count, moment, nanoDollars, percent, span } from "../words.ts";

const EVERY = 5_000;
/** A share of a budget or limit from which on it is pointed out. */
const NEAR = 0.8;

export function Budgets() {
  const budgets = useAnswer<{ budgets: Budget[] }>("admin/budgets", EVERY);
  const limits = useAnswer<Limits>("admin/limits", EVERY);
  return (
    <>
      <h1>Budgets and limits</h1>
      <Panel title="Budgets">
        <Answer of={budgets}>{({ budgets }) => <Spent budgets={budgets} />}</Answer>
      </Panel>
      <Panel title="Limits in use">
        <Answer of={limits}>{(limits) => <Used limits={limits} />}</Answer>
      </Panel>
    </>
  );
}

/** How much of something is gone, with a word where that is much. */
function Meter({ used, most, name }: { used: number; most: number; name: string }) {
  const share = most > 0 ? used / most : 1;
  const word = share >= 1 ? "spent" : share >= NEAR ? "nearly spent" : null;
  return (
    <span class="meter-cell">
      <meter min={0} max={1} high={NEAR} optimum={0} value={Math.min(1, share)} aria-label={name}>
        {percent(used, most)}
      </meter>
      <span>{percent(used, most)}</span>
      {word && (
        <span class="state">
          <Mark kind={share >= 1 ? "bad" : "warn"} /> {word}
        </span>
      )}
    </span>
  );
}

function Spent({ budgets }: { budgets: Budget[] }) {
  if (budgets.length === 0) return <Empty>Nobody has a budget; give one to a key, a team or a route in routing.yaml.</Empty>;
  const ordered = [...budgets].sort((a, b) => a.left_nano_usd / (a.limit_nano_usd || 1) - b.left_nano_usd / (b.limit_nano_usd || 1));
  return (
    <Table
      name="Budgets, the scarcest first"
      heads={["Whose", "Per", "Gone", { name: "Spent", numeric: true }, { name: "Reserved", numeric: true }, { name: "Left", numeric: true }, { name: "Limit", numeric: true }, "When it is gone", "Anew"]}
    >
      {ordered.map((budget) => (
        <tr key={`${budget.level} ${budget.name} ${budget.per} ${budget.limit_nano_usd}`}>
          <th scope="row">
            <small>{budget.level}</small> {budget.name}
          </th>
          <td>{budget.per}</td>
          <td>
            <Meter used={budget.spent_nano_usd + budget.reserved_nano_usd} most={budget.limit_nano_usd} name={`${budget.level} ${budget.name}, ${budget.per}`} />
          </td>
          <td class="number">{nanoDollars(budget.spent_nano_usd)}</td>
          <td class="number">{nanoDollars(budget.reserved_nano_usd)}</td>
          <td class="number">{nanoDollars(budget.left_nano_usd)}</td>
          <td class="number">{nanoDollars(budget.limit_nano_usd)}</td>
          <td>{budget.on_exceeded === "downgrade" ? `goes to ${budget.downgrade_to}` : budget.on_exceeded}</td>
          <td>{budget.ends_at === null ? "never" : moment(budget.ends_at)}</td>
        </tr>
      ))}
    </Table>
  );
}

function Used({ limits }: { limits: Limits }) {
  if (limits.holders.length === 0) return <Empty>Nobody with limits has asked for anything since the start.</Empty>;
  const rows = limits.holders.flatMap((holder) => holder.limits.map((limit) => ({ ...holder, ...limit })));
  rows.sort((a, b) => b.used / b.allowed - a.used / a.allowed);
  return (
    <>
      {limits.replicas !== undefined && <p>{count(limits.replicas)} replicas count together; this is what came through this one.</p>}
      <Table name="Limits, the scarcest first" heads={["Whose", "Limit", "Gone", { name: "Used", numeric: true }, { name: "Allowed", numeric: true }, { name: "Free again in", numeric: true }]}>
        {rows.map((row) => (
          <tr key={`${row.level} ${row.name} ${row.limit}`}>
            <th scope="row">
              <small>{row.level}</small> {row.name}
            </th>
            <td>{row.limit}</td>
            <td>
              <Meter used={row.used} most={row.allowed} name={`${row.level} ${row.name}, ${row.limit}`} />
            </td>
            <td class="number">{count(row.used)}</td>
            <td class="number">{count(row.allowed)}</td>
            <td class="number">{row.used === 0 ? "–" : span(row.whole_in_seconds)}</td>
          </tr>
        ))}
      </Table>
    </>
  );
}
