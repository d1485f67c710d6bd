// What has just been done or has failed, said once: on the page, and to screen readers.

import { signal } from "@preact/signals";

export interface Notice {
  id: number;
  kind: "done" | "failed";
  text: string;
}

/** Said together at most. */
const MOST = 4;
/** What went well goes by itself, after so many milliseconds. */
const SHOWN = 6_000;

export const notices = signal<Notice[]>([]);
let last = 0;

export function tell(kind: Notice["kind"], text: string) {
  last += 1;
  const id = last;
  notices.value = [...notices.value, { id, kind, text }].slice(-MOST);
  if (kind === "done") setTimeout(() => dismiss(id), SHOWN);
}

export function dismiss(id: number) {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}
