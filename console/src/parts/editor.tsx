// A text with its line numbers, which say what is wrong in their lines. An ordinary text field, so that everything that a browser
// and a screen reader can do with one works.

import { useRef } from "preact/hooks";
import type { Finding } from "../editor.ts";

interface Shown {
  /** What the text is. */
  name: string;
  text: string;
  onEdit: (text: string) => void;
  findings: Map<number, Finding[]>;
  area: { current: HTMLTextAreaElement | null };
  readOnly?: boolean;
  /** A few lines are enough for most. */
  low?: boolean;
}

export function Editor({ name, text, onEdit, findings, area, readOnly = false, low = false }: Shown) {
  const gutter = useRef<HTMLPreElement>(null);
  const lines = text.split("\n").length;
  const follow = () => {
    if (gutter.current && area.current) gutter.current.scrollTop = area.current.scrollTop;
  };
  /** Tab indents, as a file of two spaces wants; Escape and then Tab leaves. */
  const leaving = useRef(false);
  const press = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      leaving.current = true;
      return;
    }
    if (event.key === "Tab" && !event.shiftKey && !leaving.current && !readOnly) {
      event.preventDefault();
      const field = area.current;
      if (!field) return;
      const { selectionStart: from, selectionEnd: to } = field;
      // What is put in as if it were typed can be taken back with Ctrl+Z, and says so itself.
      if (document.execCommand?.("insertText", false, "  ")) return;
      field.setRangeText("  ", from, to, "end");
      onEdit(field.value);
    }
    leaving.current = false;
  };
  return (
    <div class={low ? "editor low" : "editor"}>
      <pre class="gutter" aria-hidden="true" ref={gutter}>
        {Array.from({ length: lines }, (_, at) => {
          const found = findings.get(at + 1);
          const kind = found?.some((finding) => finding.severity === "error") ? "bad" : "warn";
          return (
            <span key={at} class={found ? `marked ${kind}` : undefined} title={found?.map((finding) => finding.message).join("; ")}>
              {found ? (kind === "bad" ? "✕ " : "! ") : ""}
              {at + 1}
              {"\n"}
            </span>
          );
        })}
      </pre>
      <textarea
        ref={area}
        value={text}
        readOnly={readOnly}
        wrap="off"
        spellcheck={false}
        autocapitalize="off"
        aria-label={`${name}; Escape and then Tab leaves`}
        aria-invalid={[...findings.values()].flat().some((finding) => finding.severity === "error")}
        onInput={(event) => onEdit(event.currentTarget.value)}
        onScroll={follow}
        onKeyDown={press}
      />
    </div>
  );
}
