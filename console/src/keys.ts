// Shortcuts: one key, or `g` and another. They rest while somebody types, and where somebody has turned them off.

import { signal } from "@preact/signals";
import { go } from "./router.ts";
import { turn } from "./theme.ts";

/** Longest pause between `g` and the key behind it, in milliseconds. */
const PAUSE = 1_500;
const PLACE = "mainstay.shortcuts";

export const PLACES: { key: string; page: string; name: string }[] = [
  { key: "o", page: "overview", name: "Overview" },
  { key: "c", page: "channels", name: "Channels" },
  { key: "r", page: "routes", name: "Routes" },
  { key: "q", page: "requests", name: "Requests" },
  { key: "k", page: "keys", name: "Keys" },
  { key: "b", page: "budgets", name: "Budgets" },
  { key: "u", page: "usage", name: "Usage" },
  { key: "f", page: "faults", name: "Faults" },
  { key: "e", page: "config", name: "Config" },
  { key: "s", page: "simulate", name: "Simulate" },
  { key: "a", page: "audit", name: "Audit" },
];

export const help = signal(false);

function allowed(): boolean {
  try {
    return localStorage.getItem(PLACE) !== "off";
  } catch {
    return true;
  }
}

export const shortcuts = signal(allowed());

export function allow(on: boolean) {
  shortcuts.value = on;
  try {
    localStorage.setItem(PLACE, on ? "on" : "off");
  } catch {
    // It lasts as long as the page then.
  }
}

let goingSince = 0;

function press(event: KeyboardEvent) {
  const target = event.target as HTMLElement | null;
  const types = target?.closest("input, textarea, select, [contenteditable]") !== null;
  if (event.ctrlKey || event.metaKey || event.altKey || types || document.querySelector("dialog[open]")) return;
  if (event.key === "?") {
    help.value = true;
    event.preventDefault();
    return;
  }
  if (!shortcuts.value) return;
  if (Date.now() - goingSince < PAUSE) {
    goingSince = 0;
    const found = PLACES.find((place) => place.key === event.key);
    if (found) {
      go(found.page);
      event.preventDefault();
    }
    return;
  }
  if (event.key === "g") goingSince = Date.now();
  if (event.key === "t") turn();
  if (event.key === "/") {
    const search = document.querySelector<HTMLElement>("[data-search]");
    if (search) {
      search.focus();
      event.preventDefault();
    }
  }
}

export function listen() {
  document.addEventListener("keydown", press);
  return () => document.removeEventListener("keydown", press);
}
