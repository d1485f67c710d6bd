// What every key does.

import { PLACES, allow, help, shortcuts } from "../keys.ts";
import { Dialog } from "./dialog.tsx";

const OTHERS = [
  { keys: "?", what: "these shortcuts" },
  { keys: "t", what: "light, dark, or as the system has it" },
  { keys: "/", what: "to the search or filter of the page" },
  { keys: "Esc", what: "out of a dialog" },
];

export function Help() {
  const close = () => (help.value = false);
  return (
    <Dialog title="Shortcuts" onClose={close}>
      <dl class="keys">
        {[...OTHERS, ...PLACES.map(({ key, name }) => ({ keys: `g ${key}`, what: name }))].map(({ keys, what }) => (
          <div key={keys}>
            <dt>
              {keys.split(" ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input type="checkbox" checked={shortcuts.value} onChange={(event) => allow(event.currentTarget.checked)} />
        Single keys do something
      </label>
      <p class="actions">
        <button type="button" class="main" onClick={close}>
          Close
        </button>
      </p>
    </Dialog>
  );
}
