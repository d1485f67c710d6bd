// What an operator can do to an upstream, or to one model of it. Everything but a probe asks first, for how long and why.

import { useState } from "preact/hooks";
import { ask } from "../api.ts";
import { Act } from "../parts/act.tsx";
import type { Acted, Override } from "../shapes.ts";
import { millis, plural } from "../words.ts";

interface Action {
  verb: string;
  label: string;
  what: string;
  /** Whether it holds for a time. */
  lasts: boolean;
}

const ACTIONS: Action[] = [
  { verb: "drain", label: "Drain", what: "Nothing new goes there; what is under way finishes.", lasts: true },
  { verb: "disable", label: "Disable", what: "No request goes there any more.", lasts: true },
  { verb: "trip", label: "Trip", what: "Its breaker is open, whatever the evidence.", lasts: true },
  { verb: "restore", label: "Restore", what: "Its breaker is closed, whatever the evidence: for ten minutes unless you say otherwise.", lasts: true },
  { verb: "reset", label: "Reset", what: "What was held against it (breaker, latency, cooldowns) is forgotten.", lasts: false },
];

interface Shown {
  upstream: string;
  model: string | null;
  overridden?: Override;
  after: () => void;
}

export function Operate({ upstream, model, overridden, after }: Shown) {
  const [lasting, setLasting] = useState("");
  const [reason, setReason] = useState("");
  const subject = model === null ? upstream : `${upstream}/${model}`;
  const send = (verb: string, body: Record<string, string>) =>
    ask<Acted>("POST", `admin/upstreams/${encodeURIComponent(upstream)}/${verb}`, { body: { ...(model === null ? {} : { model }), ...body } });
  const act = ({ verb, label, lasts }: Action) => async () => {
    const said = { ...(reason === "" ? {} : { reason }), ...(lasts && lasting !== "" ? { for: lasting } : {}) };
    const { in_flight } = await send(verb, said);
    setReason("");
    setLasting("");
    const left = verb === "drain" || verb === "disable" ? `; ${plural(in_flight, "request")} still under way` : "";
    return `${label}: done for ${subject}${left}.`;
  };
  return (
    <span class="buttons">
      {overridden && (
        <Act
          label="Take back"
          name={`Take back what is said of ${subject}`}
          kind="main"
          act={async () => {
            await send("enable", {});
            return `The gateway decides about ${subject} by itself again.`;
          }}
          after={after}
        />
      )}
      {ACTIONS.map((action) => (
        <Act
          key={action.verb}
          label={action.label}
          name={`${action.label} ${subject}`}
          kind={action.verb === "disable" || action.verb === "trip" ? "danger" : undefined}
          confirm={
            <>
              <p>{action.what}</p>
              {action.lasts && (
                <label>
                  For how long (10m, 2h; empty: until it is taken back)
                  <input value={lasting} onInput={(event) => setLasting(event.currentTarget.value)} />
                </label>
              )}
              <label>
                Why (others see it)
                <input value={reason} maxLength={500} onInput={(event) => setReason(event.currentTarget.value)} />
              </label>
            </>
          }
          act={act(action)}
          after={after}
        />
      ))}
      {model === null && (
        <Act
          label="Probe"
          name={`Probe ${upstream}`}
          act={async () => {
            const { probe } = await send("probe", {});
            if (!probe) return `${upstream} was asked.`;
            if (probe.result === "pass") return `${upstream} answered a probe (${probe.kind}) in ${millis(probe.took_ms)}.`;
            throw new Error(`the probe of ${upstream} (${probe.kind}): ${probe.result}${probe.why ? `, ${probe.why}` : ""}`);
          }}
          after={after}
        />
      )}
    </span>
  );
}
