// What is wrong with a text, and what may surprise; a press leads to its line.

import { type Finding, type Findings, offset } from "../editor.ts";
import { Mark, State } from "./mark.tsx";
import { plural } from "../words.ts";

interface Shown {
  findings: Findings;
  /** Said of a text in which nothing is wrong. */
  well: string;
  area: { current: HTMLTextAreaElement | null };
}

/** To the line of a finding, with some lines above it in sight. */
function go(area: HTMLTextAreaElement | null, finding: Finding) {
  if (area === null) return;
  const at = offset(area.value, finding);
  area.focus();
  area.setSelectionRange(at, at);
  const height = area.scrollHeight / area.value.split("\n").length;
  area.scrollTop = Math.max(0, (finding.line - 4) * height);
}

export function Found({ findings: { problems, warnings }, well, area }: Shown) {
  return (
    <div aria-live="polite" class="found">
      {problems.length === 0 && (
        <p>
          <State word="ok" say={well} />
          {warnings.length > 0 && ` ${plural(warnings.length, "warning")}: worth a look, and no hindrance.`}
        </p>
      )}
      <ul class="plain">
        {[...problems, ...warnings].map((finding, at) => (
          <li key={at}>
            <Mark kind={finding.severity === "error" ? "bad" : "warn"} /> <strong>{finding.severity}</strong>{" "}
            {finding.line > 0 && (
              <button type="button" class="quiet" onClick={() => go(area.current, finding)}>
                line {finding.line}
              </button>
            )}{" "}
            {finding.file !== undefined && <code>{finding.file}</code>} {finding.path !== "" && <code>{finding.path}</code>} {finding.message}
            {finding.hint !== undefined && <small> ({finding.hint})</small>}
          </li>
        ))}
      </ul>
    </div>
  );
}
