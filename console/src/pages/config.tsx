// The configuration: edited with what is wrong at its line, compared, put in force, and taken back.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ask } from "../api.ts";
import { draft } from "../draft.ts";
import { type Findings, type Written, byLine, findingsOf, unix, validate, withEndsOf } from "../editor.ts";
import { useAnswer } from "../load.ts";
import { Act } from "../parts/act.tsx";
import { Editor } from "../parts/editor.tsx";
import { Found } from "../parts/found.tsx";
import { Mark } from "../parts/mark.tsx";
import { Answer, Panel, Trouble } from "../parts/panel.tsx";
import { link } from "../router.ts";
import { moment, plural } from "../words.ts";
import { Review } from "./comparison.tsx";
import { Past } from "./past.tsx";

/** So long after the last key the text is looked at, in milliseconds. */
const PAUSE = 400;
/** How often it is looked whether another revision has come into force, in milliseconds. */
const EVERY = 10_000;
const WELL: Findings = { problems: [], warnings: [] };

export function Config() {
  const answer = useAnswer<Written>("admin/config", EVERY);
  return (
    <>
      <h1>Configuration</h1>
      <Answer of={answer}>{(written) => <Edited written={written} again={answer.again} />}</Answer>
    </>
  );
}

/** What is wrong with a text, some time after somebody has stopped typing, and of which text that is said. */
function useFindings(text: string): { findings: Findings; looked: string | null; trouble: unknown; find: (findings: Findings) => void } {
  const [found, setFound] = useState<{ findings: Findings; looked: string | null; trouble: unknown }>({ findings: WELL, looked: null, trouble: null });
  useEffect(() => {
    const leave = new AbortController();
    const timer = setTimeout(() => {
      validate(text, leave.signal).then(
        (findings) => setFound({ findings, looked: text, trouble: null }),
        (trouble: unknown) => !leave.signal.aborted && setFound((before) => ({ ...before, trouble })),
      );
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      leave.abort();
    };
  }, [text]);
  return { ...found, find: (findings) => setFound({ findings, looked: text, trouble: null }) };
}

function Edited({ written, again }: { written: Written; again: () => void }) {
  const area = useRef<HTMLTextAreaElement>(null);
  /** What this page has put in force, until the gateway shows it. */
  const applied = useRef<string | null>(null);
  const now = useRef(written.revision);
  now.current = written.revision;
  const [compares, setCompares] = useState(false);
  const original = unix(written.text);
  const text = draft.value?.text ?? original;
  const changed = text !== original;
  const whole = withEndsOf(written.text, text);
  const stale = changed && draft.value !== null && draft.value.base !== written.revision;
  const { findings, looked, trouble, find } = useFindings(text);
  const edit = (text: string) => (draft.value = { base: draft.value?.base ?? written.revision, text });

  useLayoutEffect(() => {
    // What is not changed follows what is in force.
    if (written.revision === applied.current || !changed) draft.value = null;
    applied.current = null;
  }, [written.revision]);

  useEffect(() => {
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    if (changed) window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [changed]);

  const apply = async () => {
    try {
      const { revision } = await ask<{ revision: string }>("PUT", "admin/config", { text: whole, headers: { "if-match": `"${draft.value?.base ?? written.revision}"` } });
      if (revision === now.current) draft.value = null;
      else applied.current = revision;
      return `Revision ${revision} is in force.`;
    } catch (error) {
      const found = findingsOf(error);
      if (found === null) throw error;
      find(found);
      throw new Error(`it was not applied: ${plural(found.problems.length, "problem")}, the old configuration stays`);
    }
  };
  const what = <Review text={whole} revision={written.revision} />;
  return (
    <>
      <Panel
        title={written.source}
        tools={
          <span class="buttons">
            <Act
              label="Undo all"
              disabled={!changed}
              confirm={<p>All that you have changed here and not applied is gone; nothing brings it back.</p>}
              act={async () => {
                draft.value = null;
                return "";
              }}
            />
            {changed && findings.problems.length === 0 && <a href={`${link("simulate")}?beside`}>Rehearse it</a>}
            <Act
              label="Apply"
              kind="main"
              broad
              disabled={!changed || stale || findings.problems.length > 0 || looked !== text || !written.is_file}
              confirm={
                <>
                  <p>
                    {written.source} is written and put in force. Open streams finish on what they began with, breakers and cooldowns stay. It can be rolled back.
                  </p>
                  {what}
                </>
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
        {stale && <Overtaken by={written.revision} />}
        {trouble !== null && <Trouble error={trouble} />}
        <Editor name="routing.yaml" text={text} onEdit={edit} findings={byLine(findings)} area={area} readOnly={!written.is_file} />
        <Found findings={findings} well={changed ? "It can be used." : "This is in force."} area={area} />
        {changed && looked === text && findings.problems.length === 0 && (
          <details open={compares || stale} onToggle={(event) => setCompares(event.currentTarget.open)}>
            <summary>What it would change</summary>
            {(compares || stale) && what}
          </details>
        )}
      </Panel>
      <Past revision={written.revision} onRolledBack={again} />
    </>
  );
}

/** Somebody else was faster. Nothing of what was typed is lost, and nothing of his is written over unseen. */
function Overtaken({ by }: { by: string }) {
  const goOn = () => {
    if (draft.value !== null) draft.value = { ...draft.value, base: by };
  };
  return (
    <div class="error" role="alert">
      <Mark kind="bad" /> Revision <code>{by}</code> has come into force since you began, so yours is not applied. What it would change of that one stands below; take over what you want to keep of it.{" "}
      <button type="button" onClick={goOn}>
        Go on from revision {by}
      </button>
    </div>
  );
}
