// Rehearses an outage on the gateway, in a time that leaps: what would happen, before it happens.

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { ask } from "../api.ts";
import { draft } from "../draft.ts";
import { type Findings, type Written, byLine, findingsOf } from "../editor.ts";
import { live } from "../live.ts";
import { useAnswer } from "../load.ts";
import { Editor } from "../parts/editor.tsx";
import { Found } from "../parts/found.tsx";
import { Empty, Panel, Trouble } from "../parts/panel.tsx";
import { type Came, READY_MADE, type Wish } from "../rehearsal.ts";
import { place } from "../router.ts";
import { Outcome } from "./rehearsed.tsx";

const SCRIPT = `outages:
  - {upstream: NAME, from: 5m, to: 20m, fault: overloaded, share: 0.6, retry_after: 2s}
`;
const WORKLOAD = `mix:
  - {model: MODEL, prompt_tokens: 1000, answer_tokens: 300, stream: true, hang_up: 0.01}
`;

/** Longer than the gateway lets one run, in milliseconds. */
const PATIENCE = 70_000;

const NOTHING: Findings = { problems: [], warnings: [] };

interface Texts {
  script: string;
  workload: string;
  compare: string;
}

export function Simulate() {
  const written = useAnswer<Written>("admin/config");
  const [fields, setFields] = useState({ outage: "provider-down", whom: "", rate: "20", duration: "", seed: "1", claims: "" });
  const [texts, setTexts] = useState<Partial<Texts>>({});
  const [opened, setOpened] = useState<Partial<Record<keyof Texts, boolean>>>(place.value.query.has("beside") ? { compare: true } : {});
  const [came, setCame] = useState<Came | null>(null);
  const [trouble, setTrouble] = useState<unknown>(null);
  const [running, setRunning] = useState<AbortController | null>(null);
  const upstreams = live.value?.upstreams.map((upstream) => upstream.name) ?? [];
  const usual: Texts = {
    script: SCRIPT.replace("NAME", upstreams[0] ?? "NAME"),
    workload: WORKLOAD.replace("MODEL", live.value?.routes[0]?.route ?? "MODEL"),
    compare: draft.value?.text ?? written.value?.text ?? "",
  };
  const textOf = (name: keyof Texts) => texts[name] ?? usual[name];

  const run = async () => {
    const leave = new AbortController();
    setRunning(leave);
    setTrouble(null);
    try {
      const body = wish(fields, (name) => (opened[name] ? textOf(name) : undefined));
      setCame(await ask<Came>("POST", "admin/simulate", { body, signal: leave.signal, patience: PATIENCE }));
    } catch (error) {
      if (!leave.signal.aborted) setTrouble(error);
    }
    setRunning(null);
  };
  const field = (name: keyof typeof fields) => ({
    value: fields[name],
    onInput: (event: { currentTarget: { value: string } }) => setFields({ ...fields, [name]: event.currentTarget.value }),
  });
  const findings = findingsOf(trouble) ?? NOTHING;
  const others = findings.problems.filter(({ file }) => !isText(file));
  const text = (name: keyof Texts, title: string, children: ComponentChildren) => (
    <Optional
      name={name}
      title={title}
      open={opened[name] === true}
      onOpen={(open) => setOpened({ ...opened, [name]: open })}
      text={textOf(name)}
      onEdit={(text) => setTexts({ ...texts, [name]: text })}
      findings={findings}
    >
      {children}
    </Optional>
  );
  return (
    <>
      <h1>Simulate</h1>
      <Panel title="What to rehearse">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void run();
          }}
        >
          <div class="row">
            <label>
              Outage
              <select {...field("outage")}>
                {READY_MADE.map(([name, about]) => (
                  <option key={name} value={name}>
                    {about}
                  </option>
                ))}
              </select>
            </label>
            <label>
              Of which upstream
              <input list="whom" placeholder="the one with most weight" {...field("whom")} />
            </label>
            <datalist id="whom">
              {upstreams.slice(0, 200).map((name) => (
                <option key={name} value={name} />
              ))}
            </datalist>
            <label>
              Requests a second
              <input type="number" required min="0.001" max="100000" step="any" {...field("rate")} />
            </label>
            <label>
              For how long
              <input placeholder="15 min longer than that" {...field("duration")} />
            </label>
            <label>
              Seed
              <input type="number" required min="0" step="1" {...field("seed")} />
            </label>
            <label>
              What should hold
              <input placeholder="success >= 99.9%" {...field("claims")} />
            </label>
          </div>
          {text("script", "Outages of your own", "Times count from the start. mainstay simulate --help lists all faults.")}
          {text("workload", "What callers ask for", "Without it: each model that a route names, by turns.")}
          {text("compare", "Another configuration beside it", "With the same callers and outages as what is in force. Nothing is applied.")}
          <p class="actions">
            <button type="submit" class="main" disabled={running !== null} aria-busy={running !== null}>
              {running === null ? "Rehearse" : "Rehearsing …"}
            </button>
            {running !== null && (
              <button type="button" onClick={() => running.abort()}>
                Stop
              </button>
            )}
          </p>
        </form>
        {trouble !== null && findingsOf(trouble) === null && <Trouble error={trouble} />}
        {others.length > 0 && <Found findings={{ problems: others, warnings: [] }} well="" area={{ current: null }} />}
      </Panel>
      <p role="status" class="unseen">
        {running === null && came !== null && trouble === null && "The rehearsal is over."}
      </p>
      {came === null ? <Empty>Callers are made up, and nobody is asked anything: it takes a second, and changes nothing.</Empty> : <Outcome of={came} />}
    </>
  );
}

const isText = (file: string | undefined) => file === "script" || file === "workload" || file === "compare";

function wish(fields: { outage: string; whom: string; rate: string; duration: string; seed: string; claims: string }, text: (name: keyof Texts) => string | undefined): Wish {
  return {
    outages: fields.outage === "" ? [] : [fields.whom === "" ? fields.outage : `${fields.outage}=${fields.whom}`],
    script: text("script"),
    workload: text("workload"),
    rate: Number(fields.rate),
    duration: fields.duration === "" ? undefined : fields.duration,
    seed: Number(fields.seed),
    claims: fields.claims.split(",").map((claim) => claim.trim()).filter((claim) => claim !== ""),
    compare: text("compare"),
  };
}

interface Option {
  name: keyof Texts;
  title: string;
  open: boolean;
  onOpen: (open: boolean) => void;
  text: string;
  onEdit: (text: string) => void;
  findings: Findings;
  children: ComponentChildren;
}

/** A text that takes part when it is open. */
function Optional({ name, title, open, onOpen, text, onEdit, findings, children }: Option) {
  const area = useRef<HTMLTextAreaElement>(null);
  const of = (all: Findings["problems"]) => all.filter(({ file }) => file === name);
  const own = { problems: of(findings.problems), warnings: of(findings.warnings) };
  return (
    <details open={open} onToggle={(event) => onOpen(event.currentTarget.open)}>
      <summary>{title}</summary>
      {open && (
        <>
          <p>
            <small>{children}</small>
          </p>
          <Editor name={title} text={text} onEdit={onEdit} findings={byLine(own, name)} area={area} low />
          {own.problems.length > 0 && <Found findings={own} well="" area={area} />}
        </>
      )}
    </details>
  );
}
