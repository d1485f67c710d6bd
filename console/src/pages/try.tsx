// Sends requests as a caller would, and shows what came of each.

import { useEffect, useRef, useState } from "preact/hooks";
import { Problem, ask, said } from "../api.ts";
import { State } from "../parts/mark.tsx";
import { Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import type { Route } from "../shapes.ts";
import { isPath } from "../shapes.ts";
import { millis } from "../words.ts";

interface Tried {
  status: number;
  took_ms: number;
  /** What stands in the answer's `x-mainstay-` headers. */
  said: Record<string, string>;
  text: string;
}

interface Shown {
  id: number;
  tried: Tried | null;
  error: string | null;
}

const MOST = 12;
/** How often one is sent, in milliseconds. */
const EVERY = 500;
/** Most that are under way at once: a browser has six connections to a gateway, and the page needs some itself. */
const MOST_UNDER_WAY = 3;

export function Try({ routes }: { routes: Route[] }) {
  const models = routes.filter((route) => !isPath(route) && !route.route.includes("*")).map((route) => route.route);
  const [model, setModel] = useState(models[0] ?? "");
  const [prompt, setPrompt] = useState("Say hello.");
  const [key, setKey] = useState("");
  const [shown, setShown] = useState<Shown[]>([]);
  const [goesOn, setGoesOn] = useState(false);
  const last = useRef(0);
  const underWay = useRef(0);
  const leave = useRef(new AbortController());
  useEffect(() => () => leave.current.abort(), []);
  const send = async () => {
    if (underWay.current >= MOST_UNDER_WAY) return;
    underWay.current += 1;
    last.current += 1;
    const id = last.current;
    const put = (one: Shown) => setShown((known) => [one, ...known.filter((other) => other.id !== id)].sort((a, b) => b.id - a.id).slice(0, MOST));
    put({ id, tried: null, error: null });
    const came: Shown = { id, tried: null, error: null };
    try {
      const body = { model, prompt, ...(key === "" ? {} : { key }) };
      came.tried = await ask<Tried>("POST", "admin/try", { body, signal: leave.current.signal });
    } catch (error) {
      if (leave.current.signal.aborted) return;
      came.error = said(error);
      if (error instanceof Problem && (error.status === 401 || error.status === 403)) setGoesOn(false);
    }
    underWay.current -= 1;
    put(came);
  };
  // It ends with the page, which is gone as well where nobody may see it.
  useEffect(() => {
    if (!goesOn) return;
    const timer = setInterval(() => void send(), EVERY);
    return () => clearInterval(timer);
  }, [goesOn, model, prompt, key]);
  return (
    <Panel title="Send requests">
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <label>
          Model
          <input required list="models" value={model} onInput={(event) => setModel(event.currentTarget.value)} />
        </label>
        <datalist id="models">
          {models.slice(0, 200).map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <label class="grows">
          Prompt
          <input value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)} />
        </label>
        <label>
          Caller's key
          <input type="password" autocomplete="off" placeholder="none" value={key} onInput={(event) => setKey(event.currentTarget.value)} />
        </label>
        <button type="submit" class="main">
          Send
        </button>
        <button type="button" aria-pressed={goesOn} onClick={() => setGoesOn(!goesOn)}>
          {goesOn ? "Stop" : "Send two a second"}
        </button>
      </form>
      {underWay.current >= MOST_UNDER_WAY && <p>{MOST_UNDER_WAY} are under way; the next goes when one of them has come back.</p>}
      {shown.length > 0 && (
        <Table name="Requests that were sent from here" heads={["Came to", { name: "Took", numeric: true }, "Served by", "Answer"]}>
          {shown.map(({ id, tried, error }) => (
            <tr key={id}>
              <td>{tried ? <State word={tried.status < 400 ? "ok" : "failed"} say={String(tried.status)} /> : error === null ? <State word="idle" say="under way" /> : <State word="failed" say="not sent" />}</td>
              <td class="number">{tried ? millis(tried.took_ms) : "–"}</td>
              <td>{tried ? (Object.entries(tried.said).map(([name, value]) => `${name}: ${value}`).join(", ") || "–") : "–"}</td>
              <td>{error ?? tried?.text ?? ""}</td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}
