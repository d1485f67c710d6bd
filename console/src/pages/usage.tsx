// What was used and what it cost, by whatever sums are kept by.

import { useState } from "preact/hooks";
import { askText, said } from "../api.ts";
import { Bars, FILLS, type Series } from "../charts/bars.tsx";
import { useAnswer } from "../load.ts";
import { tell } from "../notices.ts";
import { Answer, Empty, Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import type { Usage as Report, UsageRow } from "../shapes.ts";
import { count, dollars, percent, short } from "../words.ts";

const FIELDS = ["model", "provider", "upstream", "route", "key", "user", "team", "organisation"];
const PERIODS: [string, string][] = [
  ["last=1d", "the last day, by hour"],
  ["last=7d", "the last 7 days"],
  ["last=30d", "the last 30 days"],
  ["", "this month"],
];
const MEASURES: { name: string; of: (row: UsageRow) => number; say: (value: number) => string }[] = [
  { name: "cost", of: (row) => number(row, "cost_usd"), say: dollars },
  { name: "requests", of: (row) => number(row, "requests"), say: short },
  { name: "errors", of: (row) => number(row, "errors"), say: short },
  { name: "tokens in", of: (row) => number(row, "input"), say: short },
  { name: "tokens out", of: (row) => number(row, "output"), say: short },
];

const number = (row: UsageRow, name: string) => Number(row[name] ?? 0);

/** What belongs to none says so, in a way in which nothing is called. */
const nameOf = (row: UsageRow, by: string) => String(row[by] ?? "") || `(no ${by})`;

/** The gateway's days are those of UTC, wherever the reader is. */
const utc = (time: string) => time.slice(0, 16).replace("T", " ");

export function Usage() {
  const [by, setBy] = useState("model");
  const [period, setPeriod] = useState("last=7d");
  const [measure, setMeasure] = useState("cost");
  const each = period === "last=1d" ? "hour" : "day";
  const query = (fields: string) => `admin/usage?by=${fields}${period === "" ? "" : `&${period}`}`;
  const report = useAnswer<Report>(query(`${each},${by}`));
  const shown = MEASURES.find(({ name }) => name === measure) ?? MEASURES[0];
  return (
    <>
      <h1>Usage and cost</h1>
      <form class="row" onSubmit={(event) => event.preventDefault()}>
        <Choice name="By" value={by} options={FIELDS.map((field) => [field, field])} onChoice={setBy} />
        <Choice name="Over" value={period} options={PERIODS} onChoice={setPeriod} />
        <Choice name="Shown" value={measure} options={MEASURES.map(({ name }) => [name, name])} onChoice={setMeasure} />
        <button type="button" onClick={() => void save(`${query(`${each},${by}`)}&format=csv`)}>
          Save as CSV
        </button>
      </form>
      <Answer of={report}>
        {(report) =>
          report.rows.length === 0 ? (
            <Empty>Nothing was used in that time.</Empty>
          ) : (
            shown && (
              <>
                <Panel title={`${shown.name} by ${by} and ${each} (UTC)`}>
                  <Chart report={report} each={each} by={by} measure={shown} />
                </Panel>
                <Sums report={report} by={by} />
              </>
            )
          )
        }
      </Answer>
    </>
  );
}

interface Chosen {
  name: string;
  value: string;
  options: [string, string][];
  onChoice: (value: string) => void;
}

function Choice({ name, value, options, onChoice }: Chosen) {
  return (
    <label>
      {name}
      <select value={value} onChange={(event) => onChoice(event.currentTarget.value)}>
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A link would go without the token. */
async function save(path: string) {
  try {
    const text = await askText(path);
    const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    const link = document.createElement("a");
    link.href = address;
    link.download = "usage.csv";
    link.click();
    URL.revokeObjectURL(address);
  } catch (error) {
    tell("failed", said(error));
  }
}

interface Charted {
  report: Report;
  each: string;
  by: string;
  measure: (typeof MEASURES)[number];
}

/** The largest series by themselves, the others summed up. */
export function seriesOf({ report, each, by, measure }: Charted): { labels: string[]; series: Series[] } {
  const labels = labelsOf(report, each);
  const sums = new Map<string, number[]>();
  for (const row of report.rows) {
    const name = nameOf(row, by);
    const values = sums.get(name) ?? labels.map(() => 0);
    const at = labels.indexOf(String(row[each]));
    values[at] = (values[at] ?? 0) + measure.of(row);
    sums.set(name, values);
  }
  const total = (values: number[]) => values.reduce((sum, value) => sum + value, 0);
  const ordered = [...sums].map(([name, values]) => ({ name, values })).sort((a, b) => total(b.values) - total(a.values));
  const own = ordered.length > FILLS ? ordered.slice(0, FILLS - 1) : ordered;
  const rest = ordered.slice(own.length);
  if (rest.length > 0) {
    own.push({ name: `${rest.length} others`, values: labels.map((_, at) => total(rest.map(({ values }) => values[at] ?? 0))) });
  }
  return { labels, series: own };
}

/** Every hour or day of the report, those without anything included, as the rows write them. */
export function labelsOf({ from, to, rows }: Report, each: string): string[] {
  const [step, digits] = each === "hour" ? [3_600_000, 13] : [86_400_000, 10];
  const known = rows.map((row) => String(row[each]));
  const rest = known[0]?.slice(digits) ?? "";
  const labels = new Set(known);
  for (let at = Date.parse(from); at < Date.parse(to) && labels.size < 1_000; at += step) {
    labels.add(new Date(at).toISOString().slice(0, digits) + rest);
  }
  return [...labels].sort();
}

function Chart(charted: Charted) {
  const { labels, series } = seriesOf(charted);
  const words = labels.map((label) => (charted.each === "hour" ? label.slice(11, 16) : label.slice(5)));
  return <Bars labels={words} series={series} say={charted.measure.say} name={`${charted.measure.name} by ${charted.by}`} />;
}

const SUMMED = ["requests", "errors", "attempts", "input", "cache_read", "output", "reasoning", "cost_usd"] as const;

function Sums({ report, by }: { report: Report; by: string }) {
  const sums = new Map<string, Record<string, number>>();
  for (const row of report.rows) {
    const name = nameOf(row, by);
    const sum = sums.get(name) ?? {};
    for (const column of SUMMED) sum[column] = (sum[column] ?? 0) + number(row, column);
    sums.set(name, sum);
  }
  const total = number(report.total, "cost_usd");
  const ordered = [...sums].sort(([, a], [, b]) => (b.cost_usd ?? 0) - (a.cost_usd ?? 0) || (b.requests ?? 0) - (a.requests ?? 0));
  const numeric = (name: string) => ({ name, numeric: true as const });
  return (
    <Panel title="Sums" tools={<small>{`${utc(report.from)} to ${utc(report.to)} UTC`}</small>}>
      <Table name={`Sums by ${by}`} heads={[by, ...["Requests", "Errors", "Attempts", "Tokens in", "of them cached", "Tokens out", "of them reasoning", "Cost", "Share of it"].map(numeric)]}>
        {ordered.map(([name, sum]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            {SUMMED.slice(0, -1).map((column) => (
              <td key={column} class="number">
                {count(sum[column] ?? 0)}
              </td>
            ))}
            <td class="number">{dollars(sum.cost_usd ?? 0)}</td>
            <td class="number">{percent(sum.cost_usd ?? 0, total)}</td>
          </tr>
        ))}
        <tr class="sum">
          <th scope="row">total</th>
          {SUMMED.slice(0, -1).map((column) => (
            <td key={column} class="number">
              {count(number(report.total, column))}
            </td>
          ))}
          <td class="number">{dollars(total)}</td>
          <td class="number">{percent(total, total)}</td>
        </tr>
      </Table>
      {number(report.total, "unpriced") > 0 && <p class="empty">{count(number(report.total, "unpriced"))} attempts used something that has no price; their cost is not in it.</p>}
    </Panel>
  );
}
