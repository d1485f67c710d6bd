// Callers' keys: made, shown once, rotated, disabled, ended.

import { effect, signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { ask } from "../api.ts";
import { useAnswer } from "../load.ts";
import { Act } from "../parts/act.tsx";
import { State } from "../parts/mark.tsx";
import { Answer, Empty, Panel } from "../parts/panel.tsx";
import { Secret } from "../parts/secret.tsx";
import { Table } from "../parts/table.tsx";
import { token } from "../session.ts";
import type { Key } from "../shapes.ts";
import { among, moment } from "../words.ts";
import { Create } from "./create.tsx";

export interface Made {
  name: string;
  secret: string;
}

/** What was made and nobody has said to have: kept while he looks at other pages, since it is nowhere else. */
const secrets = signal<Made[]>([]);

window.addEventListener("beforeunload", (event) => {
  if (secrets.value.length > 0) event.preventDefault();
});

// Whoever has the token forgotten leaves no secret behind.
effect(() => {
  if (token.value === null) secrets.value = [];
});

export function Keys() {
  const keys = useAnswer<{ keys: Key[] }>("admin/keys");
  const { again } = keys;
  const [wanted, setWanted] = useState("");
  const has = (key: Key) => among(wanted, key.name, key.team, key.user, key.organisation);
  const show = (made: Made) => {
    secrets.value = [made, ...secrets.value];
    again();
  };
  const have = (made: Made) => {
    secrets.value = secrets.value.filter((one) => one !== made);
  };
  return (
    <>
      <h1>Keys</h1>
      {secrets.value.map((made) => (
        <Secret key={made.secret} name={made.name} secret={made.secret} onDone={() => have(made)} />
      ))}
      <Create onMade={show} />
      <Panel
        title="All keys"
        tools={
          <label class="inline">
            Filter
            <input type="search" data-search value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
          </label>
        }
      >
        <Answer of={keys}>
          {({ keys }) => {
            const shown = keys.filter(has);
            if (shown.length === 0) return <Empty>{keys.length === 0 ? "There is none." : "None has that in its name, team, user or organisation."}</Empty>;
            return (
              <Table name="Keys" heads={["Name", "State", "Belongs to", "From", "Expires", "Limits", "What to do"]}>
                {shown.map((key) => (
                  <Row key={`${key.source} ${key.name} ${key.deleted_at ?? ""}`} of={key} onMade={show} again={again} />
                ))}
              </Table>
            );
          }}
        </Answer>
      </Panel>
    </>
  );
}

const seconds = (expires: Key["expires"]) => (typeof expires === "string" ? Date.parse(expires) / 1000 : expires);

function stateOf(key: Key) {
  const expires = seconds(key.expires);
  if (key.deleted_at) return <State word="deleted" say={`deleted ${moment(key.deleted_at)}`} />;
  if (key.disabled_at) return <State word="disabled" say={`disabled ${moment(key.disabled_at)}`} />;
  if (expires !== null && expires * 1000 < Date.now()) return <State word="disabled" say="expired" />;
  return <State word="ready" />;
}

function Row({ of: key, onMade, again }: { of: Key; onMade: (made: Made) => void; again: () => void }) {
  const expires = seconds(key.expires);
  const belongs = [key.organisation, key.team, key.user].filter((part) => part !== null);
  const limits = Object.entries(key.limits ?? {}).map(([name, most]) => `${name} ${most}`);
  const ends = key.secrets?.filter((secret) => secret.to !== null) ?? [];
  return (
    <tr>
      <th scope="row">
        {key.name}
        {key.begins && <small> {key.begins}…</small>}
      </th>
      <td>
        {stateOf(key)}
        {ends.map((secret) => secret.to !== null && secret.to * 1000 > Date.now() && <small key={secret.to}> an old secret goes on until {moment(secret.to)}</small>)}
      </td>
      <td>{belongs.length > 0 ? belongs.join(" / ") : "–"}</td>
      <td>{key.source === "file" ? "routing.yaml" : `the store${key.created_by ? `, by ${key.created_by}` : ""}`}</td>
      <td>{expires === null ? "never" : moment(expires)}</td>
      <td>{limits.length > 0 ? limits.join(", ") : "–"}</td>
      <td>{key.source === "store" && !key.deleted_at ? <Actions of={key} onMade={onMade} again={again} /> : <small>{key.source === "file" ? "change it in the file" : ""}</small>}</td>
    </tr>
  );
}

function Actions({ of: key, onMade, again }: { of: Key; onMade: (made: Made) => void; again: () => void }) {
  const path = `admin/keys/${encodeURIComponent(key.name)}`;
  const [overlap, setOverlap] = useState("24h");
  const turn = (action: string) => async () => {
    await ask("POST", `${path}/${action}`);
    return `${key.name} is ${action}d.`;
  };
  return (
    <span class="buttons">
      <Act
        label="Rotate"
        name={`Rotate ${key.name}`}
        confirm={
          <>
            <p>A new secret is made and shown once. The old one goes on for:</p>
            <label>
              Overlap (0s ends it now, 90d at most)
              <input value={overlap} onInput={(event) => setOverlap(event.currentTarget.value)} />
            </label>
          </>
        }
        act={async () => {
          const made = await ask<Made>("POST", `${path}/rotate`, { body: { overlap } });
          onMade({ name: key.name, secret: made.secret });
          return `${key.name} has a new secret.`;
        }}
      />
      {key.disabled_at ? (
        <Act label="Enable" name={`Enable ${key.name}`} act={turn("enable")} after={again} />
      ) : (
        <Act
          label="Disable"
          name={`Disable ${key.name}`}
          confirm={<p>Nobody calls with {key.name} from now on, until it is enabled again. Open streams finish.</p>}
          act={turn("disable")}
          after={again}
        />
      )}
      <Act
        label="Delete"
        name={`Delete ${key.name}`}
        kind="danger"
        confirm={<p>{key.name} ends for good; its name stays with what it has used. Whoever still calls with it is refused.</p>}
        act={async () => {
          await ask("DELETE", path);
          return `${key.name} is deleted.`;
        }}
        after={again}
      />
    </span>
  );
}
