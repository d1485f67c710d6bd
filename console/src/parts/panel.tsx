// A part of a page with a name; and what stands there while there is nothing to show.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { Problem, said } from "../api.ts";
import type { Loaded } from "../load.ts";
import { Mark } from "./mark.tsx";

interface Shown {
  title: string;
  /** Beside the title: buttons, a link. */
  tools?: ComponentChildren;
  children: ComponentChildren;
}

export function Panel({ title, tools, children }: Shown) {
  const name = useId();
  return (
    <section class="panel" aria-labelledby={name}>
      <div class="panel-head">
        <h2 id={name} tabIndex={-1}>{title}</h2>
        {tools}
      </div>
      {children}
    </section>
  );
}

/** What can be asked again was only asked for: that there is none of it here (409) is an answer, where a refused action is not. */
export function Trouble({ error, again }: { error: unknown; again?: () => void }) {
  const missing = again !== undefined && error instanceof Problem && error.status === 409;
  return (
    <p class={missing ? "empty" : "error"} role={missing ? undefined : "alert"}>
      <Mark kind={missing ? "idle" : "bad"} /> {said(error)}
      {again && !missing && (
        <>
          {" "}
          <button type="button" class="quiet" onClick={again}>
            Try again
          </button>
        </>
      )}
    </p>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

/** What was loaded, or why it was not. What was there before a failure stays, with the failure above it. */
export function Answer<T>({ of, children }: { of: Loaded<T>; children: (value: T) => ComponentChildren }) {
  return (
    <>
      {of.error !== null && <Trouble error={of.error} again={of.again} />}
      {of.value !== null ? children(of.value) : of.error === null && <p class="empty">Asking …</p>}
    </>
  );
}
