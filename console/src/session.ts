// Who is at this page. The token lives as long as the tab and goes nowhere but to the gateway that served the page.

import { signal } from "@preact/signals";

const PLACE = "mainstay.token";

/** A header carries nothing else; a copy may bring along what nobody sees. */
export const canBeSent = (said: string) => /^[ -~]+$/.test(said);

const kept = () => {
  try {
    const said = sessionStorage.getItem(PLACE);
    return said !== null && canBeSent(said) ? said : null;
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
  // In this order, so that nothing is asked without a token first.
  wanted.value = "token";
  token.value = null;
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
