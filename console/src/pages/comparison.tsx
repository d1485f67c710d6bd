// What a text would change: in meaning, and line by line.

import { useEffect, useState } from "preact/hooks";
import { ask } from "../api.ts";
import { type Compared, type Names, diffLines } from "../editor.ts";
import { Mark } from "../parts/mark.tsx";
import { Empty, Panel, Trouble } from "../parts/panel.tsx";

const KINDS = ["upstreams", "routes", "keys", "members", "issuers"] as const;

/** What `text` would change of the revision in force: compared anew when another one comes into force. */
export function Review({ text, revision }: { text: string; revision: string }) {
  const [compared, setCompared] = useState<Compared | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    const leave = new AbortController();
    setCompared(null);
    setError(null);
    ask<Compared>("POST", "admin/config/diff", { text, signal: leave.signal }).then(setCompared, (error: unknown) => !leave.signal.aborted && setError(error));
    return () => leave.abort();
  }, [text, revision]);
  if (error !== null) return <Trouble error={error} />;
  return compared === null ? <Empty>Comparing …</Empty> : <Changes of={compared} />;
}

export function Comparison({ of }: { of: Compared }) {
  return (
    <Panel title="What would change">
      <Changes of={of} />
    </Panel>
  );
}

function Changes({ of: { changes, after_restart, unified } }: { of: Compared }) {
  const named = KINDS.filter((kind) => count(changes[kind]) > 0);
  return (
    <>
      {named.length === 0 && changes.sections.length === 0 && <Empty>Nothing of meaning.</Empty>}
      <dl class="facts">
        {named.map((kind) => (
          <Kind key={kind} name={kind} names={changes[kind]} />
        ))}
        {changes.sections.length > 0 && (
          <>
            <dt>sections</dt>
            <dd>{changes.sections.join(", ")}</dd>
          </>
        )}
      </dl>
      {after_restart.length > 0 && (
        <p>
          <Mark kind="warn" /> Only after a restart: {after_restart.join(", ")}.
        </p>
      )}
      <Diff unified={unified} />
    </>
  );
}

const count = ({ added, removed, changed }: Names) => added.length + removed.length + changed.length;

function Kind({ name, names: { added, removed, changed } }: { name: string; names: Names }) {
  const parts = [
    ["added", added],
    ["removed", removed],
    ["changed", changed],
  ] as const;
  return (
    <>
      <dt>{name}</dt>
      <dd>
        {parts
          .filter(([, names]) => names.length > 0)
          .map(([word, names]) => `${word}: ${names.join(", ")}`)
          .join("; ")}
      </dd>
    </>
  );
}

function Diff({ unified }: { unified: string }) {
  if (unified.trim() === "") return <Empty>The texts are the same.</Empty>;
  return (
    <pre class="diff" tabIndex={0} role="group" aria-label="The difference, line by line">
      {diffLines(unified).map(({ kind, text }, at) => (
        <span key={at} class={kind}>
          {text}
          {"\n"}
        </span>
      ))}
    </pre>
  );
}
