// Who is at this page. The token lives as long as the tab and goes nowhere but to the gateway that served the page.

import { signal } from "@preact/signals";

const PLACE = "mainstay.token";

const kept = () => {
  try {
    return sessionStorage.getItem(PLACE);
  } catch {
    // A browser may forbid storage; then the token lives as long as the page.
    return null;
  }
};

export const token = signal<string | null>(kept());

/** Whether the gateway has answered that it wants a token, or another one. */
export const wanted = signal<"no" | "token" | "another">("no");

export function enter(said: string) {
  token.value = said;
  wanted.value = "no";
  try {
    sessionStorage.setItem(PLACE, said);
  } catch {
    // As above.
  }
}

export function leave() {
  token.value = null;
  wanted.value = "token";
  try {
    sessionStorage.removeItem(PLACE);
  } catch {
    // As above.
  }
}

/** The gateway does not take what was sent. */
export function refused() {
  wanted.value = token.value === null ? "token" : "another";
}
