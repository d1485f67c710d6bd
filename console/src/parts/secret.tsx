// A secret, shown once: it is nowhere else, not even in the store.

import { useEffect, useRef } from "preact/hooks";
import { said } from "../api.ts";
import { tell } from "../notices.ts";

interface Shown {
  name: string;
  secret: string;
  onDone: () => void;
}

export function Secret({ name, secret, onDone }: Shown) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    field.current?.focus();
    field.current?.select();
  }, [secret]);
  const copy = async () => {
    try {
      if (!isSecureContext) throw new Error("a browser copies only over https or from localhost");
      await navigator.clipboard.writeText(secret);
      tell("done", `The secret of ${name} is in the clipboard.`);
    } catch (error) {
      field.current?.select();
      tell("failed", `It could not be copied (${said(error)}); it is selected, copy it by hand.`);
    }
  };
  return (
    <section class="panel secret" aria-label={`The secret of ${name}`}>
      <h2>The secret of {name}</h2>
      <p>This is the only time that it is shown. Keep it where secrets are kept.</p>
      <div class="row">
        <label class="wide">
          Secret
          <input ref={field} readOnly value={secret} data-secret spellcheck={false} />
        </label>
        <button type="button" class="main" onClick={() => void copy()}>
          Copy
        </button>
        <button type="button" onClick={onDone}>
          I have it
        </button>
      </div>
    </section>
  );
}
