// Light or dark: as the system has it, until somebody says otherwise.

import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const PLACE = "mainstay.theme";
const THEMES: Theme[] = ["system", "light", "dark"];

function kept(): Theme {
  try {
    const said = localStorage.getItem(PLACE);
    return THEMES.find((theme) => theme === said) ?? "system";
  } catch {
    return "system";
  }
}

export const theme = signal<Theme>(kept());

export function dress() {
  const root = document.documentElement;
  if (theme.value === "system") delete root.dataset.theme;
  else root.dataset.theme = theme.value;
}

export function turn() {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "system";
  try {
    localStorage.setItem(PLACE, theme.value);
  } catch {
    // It lasts as long as the page then.
  }
  dress();
}
