// Breaks simulated upstreams on demand, sends requests, and shows what becomes of them: for getting to know the gateway.

import { useState } from "preact/hooks";
import { ask, said } from "../api.ts";
import { useAnswer } from "../load.ts";
import { live } from "../live.ts";
import { Act } from "../parts/act.tsx";
import { State } from "../parts/mark.tsx";
import { Answer, Empty, Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import type { Simulated, Status } from "../shapes.ts";
import { upstreamWord } from "../trouble.ts";
import { count, plain, plural } from "../words.ts";
import { Try } from "./try.tsx";

const EVERY = 1_000;

const FAULTS: { name: string; rule: unknown }[] = [
  { name: "Refuse connections", rule: { fault: "refuse" } },
  { name: "Answer 503", rule: { fault: "status", status: 503 } },
  { name: "Answer every second request 500", rule: { fault: "status", status: 500, every: 2 } },
  { name: "Be rate limited (429)", rule: { fault: "rate_limited", retry_after_ms: 2000 } },
  { name: "Never answer", rule: { fault: "hang" } },
  { name: "Answer 3 s late", rule: { fault: "slow", ttft_ms: 3000 } },
  { name: "Break streams off after 5 words", rule: { fault: "cut", after_events: 5, how: "rst" } },
  { name: "Go silent after 5 words", rule: { fault: "stall", after_events: 5 } },
  { name: "Say an error within a stream", rule: { fault: "in_band_error", after_events: 3 } },
  { name: "Have no quota left", rule: { fault: "quota_exhausted" } },
];

export function Faults() {
  const status = useAnswer<Status>("admin/status", 10_000);
  return (
    <>
      <h1>Faults</h1>
      <p>
        Simulated upstreams go wrong on demand. Break one, send requests, and watch nobody notice. In routing.yaml any upstream with{" "}
        <code>provider: simulated</code> is one.
      </p>
      <Answer of={status}>
        {(status) => {
          const simulated = status.upstreams.filter((upstream) => upstream.provider === "simulated");
          return (
            <>
              {simulated.length === 0 && <Empty>There is none; add one to routing.yaml: sim-a: {"{provider: simulated}"}</Empty>}
              <div class="columns">
                {simulated.map((upstream) => (
                  <One key={upstream.name} name={upstream.name} />
                ))}
              </div>
              <Try routes={status.routes} />
            </>
          );
        }}
      </Answer>
    </>
  );
}

function One({ name }: { name: string }) {
  const path = `admin/simulated/${encodeURIComponent(name)}`;
  const seen = useAnswer<Simulated>(path, EVERY);
  const [fault, setFault] = useState(0);
  const now = live.value?.upstreams.find((upstream) => upstream.name === name);
  const rule = FAULTS[fault] ?? FAULTS[0];
  return (
    <Panel title={name} tools={now && <State word={upstreamWord(now)} say={upstreamWord(now) === "closed" ? "in use" : plain(upstreamWord(now))} />}>
      <div class="row">
        <label>
          It should
          <select value={fault} onChange={(event) => setFault(Number(event.currentTarget.value))}>
            {FAULTS.map(({ name }, at) => (
              <option key={name} value={at}>
                {name.toLowerCase()}
              </option>
            ))}
          </select>
        </label>
        <Act
          label="Break"
          name={`Break ${name}`}
          kind="danger"
          act={async () => {
            await ask("PUT", path, { body: rule?.rule });
            return "";
          }}
          after={seen.again}
        />
        <Act
          label="Make well"
          name={`Make well: ${name}`}
          act={async () => {
            await ask("DELETE", path);
            return "";
          }}
          after={seen.again}
        />
      </div>
      <Own path={path} name={name} after={seen.again} />
      <Answer of={seen}>
        {({ rules, counts, seen }) => (
          <>
            <p class="state-line" aria-live="polite">
              {rules.length === 0 ? <State word="ok" say="well" /> : rules.map((rule, at) => <State key={at} word="broken" say={JSON.stringify(rule)} />)}
            </p>
            <p>
              {plural(counts.arrived ?? 0, "request")} arrived, {count(counts.completed ?? 0)} answered, {count(counts.faulted ?? 0)} gone wrong on demand, {count(counts.aborted ?? 0)} given up.
            </p>
            {seen.length > 0 && (
              <Table name={`What ${name} has seen`} heads={["Request", "Model", "Came to"]}>
                {seen
                  .slice(-6)
                  .reverse()
                  .map((one) => (
                    <tr key={one.serial}>
                      <td>
                        {one.method} {one.path}
                      </td>
                      <td>{one.model ?? "–"}</td>
                      <td>{outcome(one.outcome)}</td>
                    </tr>
                  ))}
              </Table>
            )}
          </>
        )}
      </Answer>
    </Panel>
  );
}

function outcome(of: unknown) {
  if (of === "completed") return <State word="ok" say="answered" />;
  if (of === "open") return <State word="idle" say="under way" />;
  const [[word, how] = ["ended", ""]] = typeof of === "object" && of !== null ? Object.entries(of) : [[String(of), ""]];
  return <State word={word === "aborted" ? "last" : "failed"} say={typeof how === "string" && how !== "" ? `${word}: ${plain(how)}` : word} />;
}

/** Rules in their own words. */
function Own({ path, name, after }: { path: string; name: string; after: () => void }) {
  const [text, setText] = useState('[{"share": 0.5, "fault": {"kind": "status", "status": 503}}]');
  return (
    <details>
      <summary>Own rules</summary>
      <label>
        Rules as JSON, the first that matches decides
        <textarea rows={4} spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <Act
        label="Set the rules"
        name={`Set the rules of ${name}`}
        act={async () => {
          try {
            JSON.parse(text);
          } catch (error) {
            throw new Error(`that is no JSON: ${said(error)}`);
          }
          await ask("PUT", path, { text });
          return "";
        }}
        after={after}
      />
    </details>
  );
}
