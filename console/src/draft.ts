// What somebody has made of the configuration and has not applied: kept while he looks at other pages, and nowhere else.

import { signal } from "@preact/signals";

export interface Draft {
  /** The revision that it was begun at. */
  base: string;
  text: string;
}

export const draft = signal<Draft | null>(null);
