// What the editor knows of the text: its lines with what is wrong in them, and what a unified diff says.

import type { Finding, Findings } from "./shapes.ts";

/** By line, from 1; those without a place are of line 0. Of other files than the one that is edited, too. */
export function byLine({ problems, warnings }: Findings): Map<number, Finding[]> {
  const found = new Map<number, Finding[]>();
  for (const finding of [...problems, ...warnings]) {
    const line = finding.file === undefined ? finding.line : 0;
    found.set(line, [...(found.get(line) ?? []), finding]);
  }
  return found;
}

export type DiffLine = { kind: "added" | "removed" | "kept" | "place"; text: string };

export function diffLines(unified: string): DiffLine[] {
  const lines = unified.split("\n").filter((line, at, all) => line !== "" || at < all.length - 1);
  return lines
    .filter((line) => !line.startsWith("--- ") && !line.startsWith("+++ "))
    .map((text) => {
      if (text.startsWith("@@")) return { kind: "place", text };
      if (text.startsWith("+")) return { kind: "added", text };
      if (text.startsWith("-")) return { kind: "removed", text };
      return { kind: "kept", text };
    });
}
