// The configuration: edited with what is wrong at its line, compared, put in force, and taken back.

import { useEffect, useRef, useState } from "preact/hooks";
import { Problem, ask, said } from "../api.ts";
import { byLine } from "../editor.ts";
import { useAnswer } from "../load.ts";
import { tell } from "../notices.ts";
import { Act } from "../parts/act.tsx";
import { Editor } from "../parts/editor.tsx";
import { Mark, State } from "../parts/mark.tsx";
import { Answer, Panel, Trouble } from "../parts/panel.tsx";
import type { Compared, Finding, Findings, Written } from "../shapes.ts";
import { moment, plural } from "../words.ts";
import { Comparison } from "./comparison.tsx";
import { Past } from "./past.tsx";

/** So long after the last key the text is looked at, in milliseconds. */
const PAUSE = 400;
const WELL: Findings = { problems: [], warnings: [] };

export function Config() {
  const answer = useAnswer<Written>("admin/config");
  return (
    <>
      <h1>Configuration</h1>
      <Answer of={answer}>{(written) => <Edited key={written.revision} written={written} again={answer.again} />}</Answer>
    </>
  );}

/** What the gateway finds wrong with a text. */
async function validate(text: string, signal?: AbortSignal): Promise<Findings> {
  try {
    return await ask<Findings>("POST", "admin/config/validate", { text, signal });
  } catch (error) {
    const found = findingsOf(error);
    if (found === null) throw error;
    return found;
  }
}

function findingsOf(error: unknown): Findings | null {
  if (!(error instanceof Problem) || error.status !== 422) return null;
  const body = error.body as Partial<Findings> | null;
  return body?.problems === undefined ? null : { problems: body.problems, warnings: body.warnings ?? [] };
}

function Edited({ written, again }: { written: Written; again: () => void }) {
  const [text, setText] = useState(written.text);
  const [findings, setFindings] = useState<Findings>(WELL);
  const [looked, setLooked] = useState(written.text);
  const [trouble, setTrouble] = useState<unknown>(null);
  const [compared, setCompared] = useState<Compared | null>(null);
  const area = useRef<HTMLTextAreaElement>(null);
  const changed = text !== written.text;

  useEffect(() => {
    const leave = new AbortController();
    const timer = setTimeout(() => {
      validate(text, leave.signal).then(
        (found) => {
          setFindings(found);
          setLooked(text);
          setTrouble(null);
        },
        (error: unknown) => !leave.signal.aborted && setTrouble(error),
      );
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      leave.abort();
    };
  }, [text]);

  useEffect(() => {
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    if (changed) window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [changed]);

  const edit = (text: string) => {
    setText(text);
    setCompared(null);
  };
  const compare = async () => {
    try {
      setCompared(await ask<Compared>("POST", "admin/config/diff", { text }));
    } catch (error) {
      const found = findingsOf(error);
      if (found === null) tell("failed", said(error));
      else setFindings(found);
    }
  };
  const apply = async () => {
    try {
      const { revision } = await ask<{ revision: string }>("PUT", "admin/config", { text, headers: { "if-match": `"${written.revision}"` } });
      return `Revision ${revision} is in force.`;
    } catch (error) {
      const found = findingsOf(error);
      if (found === null) throw error;
      setFindings(found);
      throw new Error(`it was not applied: ${plural(found.problems.length, "problem")}, the old configuration stays`);
    }
  };
  return (
    <>
      <Panel
        title={written.source}
        tools={
          <span class="buttons">
            <button type="button" disabled={!changed} onClick={() => edit(written.text)}>
              Undo all
            </button>
            <button type="button" disabled={!changed} onClick={() => void compare()}>
              Compare
            </button>
            <Act
              label="Apply"
              kind="main"
              disabled={!changed || findings.problems.length > 0 || looked !== text || !written.is_file}
              confirm={
                <p>
                  {written.source} is written and put in force. Open streams finish on what they began with, breakers and cooldowns stay. It can be rolled back below.
                </p>
              }
              act={apply}
              after={again}
            />
          </span>
        }
      >
        <p>
          Revision <code>{written.revision}</code>, in force since {moment(written.applied_at)}.
          {!written.is_file && " It comes from no file, so it cannot be changed here."} Secrets that stand in the file are shown as <code>REDACTED-…</code>; left alone they stay what they are.
        </p>
        {written.refused !== undefined && (
          <p class="error">
            <Mark kind="bad" /> What is on disk now cannot be used, and an older text is in force:
            {"\n"}
            {written.refused}
          </p>
        )}
        {trouble !== null && <Trouble error={trouble} />}
        <Editor text={text} onEdit={edit} findings={byLine(findings)} area={area} readOnly={!written.is_file} />
        <Found findings={findings} changed={changed} area={area} />
      </Panel>
      {compared !== null && <Comparison of={compared} />}
      <Past revision={written.revision} onRolledBack={again} />
    </>
  );
}

function Found({ findings, changed, area }: { findings: Findings; changed: boolean; area: { current: HTMLTextAreaElement | null } }) {
  const all = [...findings.problems, ...findings.warnings];
  const go = ({ line, column }: Finding) => {
    const field = area.current;
    if (!field || line === 0) return;
    const before = field.value.split("\n").slice(0, line - 1);
    const at = before.reduce((sum, text) => sum + text.length + 1, 0) + Math.max(0, column - 1);
    field.focus();
    field.setSelectionRange(at, at);
  };
  return (
    <div aria-live="polite" class="found">
      {findings.problems.length === 0 && (
        <p>
          <State word="ok" say={changed ? "It can be used." : "This is in force."} />
        </p>
      )}
      {all.length > 0 && (
        <ul class="plain">
          {all.map((finding, at) => (
            <li key={at}>
              <Mark kind={finding.severity === "error" ? "bad" : "warn"} /> <strong>{finding.severity}</strong>{" "}
              {finding.line > 0 && (
                <button type="button" class="quiet" onClick={() => go(finding)}>
                  line {finding.line}
                </button>
              )}{" "}
              {finding.file !== undefined && <code>{finding.file}</code>} {finding.path !== "" && <code>{finding.path}</code>} {finding.message}
              {finding.hint !== undefined && <small> ({finding.hint})</small>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
