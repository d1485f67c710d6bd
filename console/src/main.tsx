// The console's beginning.

import { render } from "preact";
import { App } from "./app.tsx";
import { begin } from "./live.ts";
import { dress } from "./theme.ts";

dress();
begin();
render(<App />, document.getElementById("console") as HTMLElement);
