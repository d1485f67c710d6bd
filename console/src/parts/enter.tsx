// Asks for the admin token.

import { useState } from "preact/hooks";
import { canBeSent, enter, wanted } from "../session.ts";

export function Enter() {
  const [said, setSaid] = useState("");
  const [odd, setOdd] = useState(false);
  const another = wanted.value === "another" && !odd;
  return (
    <form
      class="panel narrow"
      onSubmit={(event) => {
        event.preventDefault();
        const token = said.trim();
        if (token === "") return;
        setOdd(!canBeSent(token));
        if (canBeSent(token)) enter(token);
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
          aria-invalid={another || odd}
          aria-describedby={another || odd ? "token-refused" : undefined}
        />
      </label>
      {odd && (
        <p id="token-refused" class="error" role="alert">
          That has a character in it which no token has: an invisible one, or one beyond ASCII. Nothing was sent. Copy the token again, without
          what stands around it.
        </p>
      )}
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
