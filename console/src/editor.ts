// What the editor knows of a text: what is wrong in its lines, and what a unified diff says.

import { Problem, ask } from "./api.ts";

export interface Finding {
  severity: string;
  file?: string;
  path: string;
  /** From 1; 0 where there is no place. */
  line: number;
  column: number;
  message: string;
  hint?: string;
  nearest?: string;
}

export interface Findings {
  problems: Finding[];
  warnings: Finding[];
}

export interface Written {
  source: string;
  revision: string;
  applied_at: number;
  refused?: string;
  is_file: boolean;
  text: string;
}

export interface Names {
  added: string[];
  removed: string[];
  changed: string[];
}

export interface Compared {
  revision: string;
  new_revision: string;
  changes: Record<"upstreams" | "routes" | "keys" | "members" | "issuers", Names> & { sections: string[] };
  after_restart: string[];
  unified: string;
}

export interface Past {
  revision: string;
  at: number;
  by: string;
  is_current: boolean;
  text: string;
}

/** By line, from 1; those without a place are of line 0. Of other files than the one that is edited, too. */
export function byLine({ problems, warnings }: Findings, file?: string): Map<number, Finding[]> {
  const found = new Map<number, Finding[]>();
  for (const finding of [...problems, ...warnings]) {
    const line = finding.file === file ? finding.line : 0;
    found.set(line, [...(found.get(line) ?? []), finding]);
  }
  return found;
}

/** As a text field has it, which knows one end of a line only. */
export const unix = (text: string) => text.replace(/\r\n?/g, "\n");

/** With the ends of lines that most lines of `file` have, so that one edit does not change every line of it. */
export function withEndsOf(file: string, text: string): string {
  const windows = file.split("\r\n").length - 1;
  return 2 * windows > file.split("\n").length - 1 ? text.replaceAll("\n", "\r\n") : text;
}

/** Where a place of a text is, counted in characters from its begin. */
export function offset(text: string, { line, column }: { line: number; column: number }): number {
  const lines = text.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  return before + Math.min(Math.max(0, column - 1), lines[line - 1]?.length ?? 0);
}

/** What an answer of 422 finds wrong. */
export function findingsOf(error: unknown): Findings | null {
  if (!(error instanceof Problem) || error.status !== 422) return null;
  const body = error.body as Partial<Findings> | null;
  return body?.problems === undefined ? null : { problems: body.problems, warnings: body.warnings ?? [] };
}

/** What the gateway finds wrong with a configuration. */
export async function validate(text: string, signal?: AbortSignal): Promise<Findings> {
  try {
    return await ask<Findings>("POST", "admin/config/validate", { text, signal });
  } catch (error) {
    const found = findingsOf(error);
    if (found === null) throw error;
    return found;
  }
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
