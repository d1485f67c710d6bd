// Asks for the admin token.

import { useState } from "preact/hooks";
import { enter, wanted } from "../session.ts";

export function Enter() {
  const [said, setSaid] = useState("");
  const another = wanted.value === "another";
  return (
    <form
      class="panel narrow"
      onSubmit={(event) => {
        event.preventDefault();
        if (said.trim() !== "") enter(said.trim());
      }}
    >
      <h1>Who is there?</h1>
      <p>
        This gateway takes an admin token (<code>server.admin_token</code> in its routing.yaml). It stays in this tab, and goes to
        this gateway only.
      </p>
      <label>
        Admin token
        <input
          type="password"
          autocomplete="current-password"
          value={said}
          onInput={(event) => setSaid(event.currentTarget.value)}
          aria-invalid={another}
          aria-describedby={another ? "token-refused" : undefined}
        />
      </label>
      {another && (
        <p id="token-refused" class="error" role="alert">
          The gateway does not know that token. Look at the environment that it was started with, and enter the right one.
        </p>
      )}
      <button type="submit" class="main">
        Enter
      </button>
    </form>
  );
}
