// Asks the admin side, with a deadline, and says in one form what went wrong.

import { refused, token } from "./session.ts";

/** Longest wait for an answer, in milliseconds, where nobody says; a report of a year takes some seconds. */
const PATIENCE = 30_000;

export class Problem extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly body: unknown = null,
  ) {
    super(message);
  }
}

interface Asking {
  body?: unknown;
  /** Sent as it is. */
  text?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** In milliseconds. */
  patience?: number;
}

export function headers(): Record<string, string> {
  return token.value === null ? {} : { authorization: `Bearer ${token.value}` };
}

/** The text of the answer. What the browser says of a connection that fails is for programmers: it is told in our words. */
async function send(method: string, path: string, { body, text, headers: more, signal, patience: longest = PATIENCE }: Asking): Promise<string> {
  const content = text ?? (body === undefined ? undefined : JSON.stringify(body));
  const patience = AbortSignal.timeout(longest);
  const said = {
    ...headers(),
    ...(content === undefined ? {} : { "content-type": text === undefined ? "application/json" : "application/yaml" }),
    ...more,
  };
  let answer: Response;
  let came: string;
  try {
    const until = signal === undefined ? patience : AbortSignal.any([signal, patience]);
    answer = await fetch(path, { method, headers: said, body: content, signal: until, cache: "no-store" });
    came = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    const why = patience.aborted ? "does not answer in time" : "cannot be reached";
    throw new Problem(0, `the gateway ${why}; look whether it runs, and try again`);
  }
  if (answer.status === 401) refused();
  if (!answer.ok) throw problem(answer.status, came);
  return came;
}

/** What an answer that is none says. */
export function problem(status: number, text: string): Problem {
  try {
    const body = JSON.parse(text);
    const said = typeof body.error === "string" ? body.error : (body.error?.message ?? body.message);
    return new Problem(status, said ?? `the gateway answered ${status}`, body);
  } catch {
    return new Problem(status, text.trim() || `the gateway answered ${status}`);
  }
}

export async function ask<T>(method: string, path: string, asking: Asking = {}): Promise<T> {
  const text = await send(method, path, asking);
  return (text === "" ? null : JSON.parse(text)) as T;
}

export async function askText(path: string, asking: Asking = {}): Promise<string> {
  return send("GET", path, asking);
}

/** What to tell people of anything that was thrown. */
export function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
