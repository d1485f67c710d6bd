// A button that does something on the gateway: busy meanwhile, and says what came of it. What is hard to undo asks first.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { said } from "../api.ts";
import { tell } from "../notices.ts";
import { Dialog } from "./dialog.tsx";

interface Acting {
  label: string;
  /** Ends with what to say of it; nothing is said of an empty text. */
  act: () => Promise<string>;
  after?: () => void;
  /** What would happen, where that is asked first. */
  confirm?: ComponentChildren;
  /** There is much to read before. */
  broad?: boolean;
  kind?: "main" | "danger" | "quiet";
  disabled?: boolean;
  /** Said in place of the label to those who do not see where it stands. */
  name?: string;
}

export function Act({ label, act, after, confirm, broad, kind, disabled, name }: Acting) {
  const [busy, setBusy] = useState(false);
  const [asks, setAsks] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const pressed = useRef(false);
  /** Whoever pressed it goes on at its panel's heading where it can be pressed no more, not at the begin of the page. */
  const leave = () => {
    const at = document.activeElement;
    if (pressed.current && (at === button.current || at === document.body)) button.current?.closest(".panel")?.querySelector("h2")?.focus({ preventScroll: true });
  };
  useLayoutEffect(() => leave, []);
  useLayoutEffect(() => {
    if (disabled) leave();
  }, [disabled]);
  const run = async () => {
    pressed.current = true;
    setAsks(false);
    setBusy(true);
    try {
      const done = await act();
      if (done !== "") tell("done", done);
    } catch (error) {
      tell("failed", said(error));
    }
    setBusy(false);
    after?.();
  };
  return (
    <>
      {/* While it is busy it only does nothing: a disabled button would lose the focus. */}
      <button
        ref={button}
        type="button"
        class={kind}
        disabled={disabled}
        aria-disabled={busy}
        aria-busy={busy}
        aria-label={name}
        onClick={() => !busy && (confirm === undefined ? void run() : setAsks(true))}
      >
        {busy ? `${label} …` : label}
      </button>
      {asks && (
        <Dialog title={name ?? label} broad={broad} onClose={() => setAsks(false)}>
          <div class="asked">{confirm}</div>
          <p class="actions">
            <button type="button" onClick={() => setAsks(false)}>
              Cancel
            </button>
            <button type="button" class={kind === "danger" ? "danger" : "main"} onClick={() => void run()}>
              {label}
            </button>
          </p>
        </Dialog>
      )}
    </>
  );
}
