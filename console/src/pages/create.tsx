// A form for a new key.

import { useState } from "preact/hooks";
import { ask } from "../api.ts";
import { Panel, Trouble } from "../parts/panel.tsx";
import type { Made } from "./keys.tsx";

const BEGINNING = { name: "", team: "", user: "", organisation: "", expires: "", models: "", rpm: "", tpm: "", concurrency: "", amount: "", per: "month" };
const LIMITS = ["rpm", "tpm", "concurrency"] as const;

type Said = typeof BEGINNING;

/** What the gateway is asked for: what was left empty is not said. */
export function asked(said: Said): Record<string, unknown> {
  const limits = Object.fromEntries(LIMITS.filter((name) => said[name] !== "").map((name) => [name, Number(said[name])]));
  const models = said.models.split(/[\s,]+/).filter((model) => model !== "");
  const named = Object.fromEntries((["team", "user", "organisation", "expires"] as const).filter((name) => said[name] !== "").map((name) => [name, said[name]]));
  return {
    name: said.name,
    ...named,
    ...(Object.keys(limits).length > 0 ? { limits } : {}),
    ...(models.length > 0 ? { allow: { models } } : {}),
    ...(said.amount !== "" ? { budgets: [{ per: said.per, limit: Number(said.amount) }] } : {}),
  };
}

export function Create({ onMade }: { onMade: (made: Made) => void }) {
  const [said, setSaid] = useState<Said>(BEGINNING);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const field = (name: keyof Said) => ({
    value: said[name],
    onInput: (event: { currentTarget: HTMLInputElement }) => setSaid({ ...said, [name]: event.currentTarget.value }),
  });
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const made = await ask<Made>("POST", "admin/keys", { body: asked(said) });
      setError(null);
      setSaid(BEGINNING);
      onMade({ name: made.name, secret: made.secret });
    } catch (error) {
      setError(error);
    }
    setBusy(false);
  };
  return (
    <Panel title="Make a key">
      <form class="row" onSubmit={(event) => void submit(event)}>
        <label>
          Name
          <input required {...field("name")} />
        </label>
        <label>
          Team
          <input placeholder="none" {...field("team")} />
        </label>
        <label>
          User
          <input placeholder="none" {...field("user")} />
        </label>
        <label>
          Expires
          <input type="date" {...field("expires")} />
        </label>
        <details class="wide">
          <summary>What it may use and spend</summary>
          <div class="row">
            <label>
              Organisation
              <input placeholder="none" {...field("organisation")} />
            </label>
            <label>
              Models (with commas)
              <input placeholder="all" {...field("models")} />
            </label>
            {LIMITS.map((name) => (
              <label key={name}>
                {{ rpm: "Requests a minute", tpm: "Tokens a minute", concurrency: "At the same moment" }[name]}
                <input type="number" min="1" placeholder="any" {...field(name)} />
              </label>
            ))}
            <label>
              Budget in dollars
              <input type="number" min="0.01" step="0.01" placeholder="none" {...field("amount")} />
            </label>
            <label>
              per
              <select value={said.per} onChange={(event) => setSaid({ ...said, per: event.currentTarget.value })}>
                {["day", "week", "month", "total"].map((per) => (
                  <option key={per}>{per}</option>
                ))}
              </select>
            </label>
          </div>
        </details>
        <button type="submit" class="main" disabled={busy} aria-busy={busy}>
          Make it
        </button>
      </form>
      {error !== null && <Trouble error={error} />}
    </Panel>
  );
}
