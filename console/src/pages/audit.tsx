// Who changed what, the newest first.

import { useEffect, useState } from "preact/hooks";
import { ask } from "../api.ts";
import { Empty, Panel, Trouble } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import type { Deed } from "../shapes.ts";
import { among, iso, moment } from "../words.ts";

interface Page {
  audit: Deed[];
  before: string | null;
}

export function Audit() {
  const [deeds, setDeeds] = useState<Deed[] | null>(null);
  const [before, setBefore] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [wanted, setWanted] = useState("");
  const more = async (from: string | null) => {
    try {
      const page = await ask<Page>("GET", from === null ? "admin/audit" : `admin/audit?before=${from}`);
      setDeeds((known) => (from === null ? page.audit : [...(known ?? []), ...page.audit]));
      setBefore(page.before);
      setError(null);
    } catch (error) {
      setError(error);
    }
  };
  useEffect(() => void more(null), []);
  const shown = (deeds ?? []).filter((deed) => among(wanted, `${deed.actor} ${deed.action} ${deed.subject}`));
  return (
    <>
      <h1>Audit</h1>
      <Panel
        title="Who changed what"
        tools={
          <>
            <label class="inline">
              Filter
              <input type="search" data-search value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
            </label>
            <button type="button" onClick={() => void more(null)}>
              Ask again
            </button>
          </>
        }
      >
        {error !== null && <Trouble error={error} again={() => void more(null)} />}
        {deeds !== null && shown.length === 0 && <Empty>{deeds.length === 0 ? "Nobody has changed anything yet." : "Nothing of what is shown has that in it."}</Empty>}
        {shown.length > 0 && (
          <Table name="Audit trail" heads={["When", "Who", "What", "To what", "Detail"]}>
            {shown.map((deed) => (
              <tr key={deed.id}>
                <td>
                  <time dateTime={iso(deed.at)}>{moment(deed.at)}</time>
                </td>
                <td>{deed.actor}</td>
                <td>
                  <code>{deed.action}</code>
                </td>
                <th scope="row">{deed.subject}</th>
                <td>{deed.detail === null ? "–" : <Detail of={deed.detail} />}</td>
              </tr>
            ))}
          </Table>
        )}
        {before !== null && (
          <p class="actions">
            <button type="button" onClick={() => void more(before)}>
              Older ones
            </button>
          </p>
        )}
      </Panel>
    </>
  );
}

function Detail({ of }: { of: unknown }) {
  const whole = JSON.stringify(of, null, 2);
  const line = JSON.stringify(of);
  if (line.length < 60) return <code>{line}</code>;
  return (
    <details>
      <summary>{`${line.slice(0, 48)}…`}</summary>
      <pre>{whole}</pre>
    </details>
  );
}
