// One answer of the admin side, asked for when a part of the page appears, and again when that is wanted.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Problem, ask } from "./api.ts";
import { token } from "./session.ts";

export interface Loaded<T> {
  value: T | null;
  error: unknown;
  again: () => void;
}

/** `path` of null asks nothing; `every` is in milliseconds. What was there stays while it is asked for again. */
export function useAnswer<T>(path: string | null, every?: number): Loaded<T> {
  const [found, setFound] = useState<{ path: string | null; value: T | null; error: unknown }>({ path, value: null, error: null });
  const [turn, setTurn] = useState(0);
  const again = useCallback(() => setTurn((turn) => turn + 1), []);
  const holder = token.value;
  /** While it is there, time alone asks nothing. */
  const asking = useRef<AbortController | null>(null);
  useEffect(() => {
    if (path === null) return;
    const leave = new AbortController();
    asking.current = leave;
    ask<T>("GET", path, { signal: leave.signal }).then(
      (value) => {
        if (leave.signal.aborted) return;
        asking.current = null;
        setFound({ path, value, error: null });
      },
      (error: unknown) => {
        if (leave.signal.aborted) return;
        // Who may not see it may not see it in a second either.
        if (!(error instanceof Problem && error.status === 403)) asking.current = null;
        setFound((before) => ({ path, value: before.path === path ? before.value : null, error }));
      },
    );
    return () => leave.abort();
  }, [path, turn, holder]);
  useEffect(() => {
    if (path === null || every === undefined) return;
    const timer = setInterval(() => {
      // An answer may take longer than that: it is waited for.
      if (!document.hidden && asking.current === null) again();
    }, every);
    return () => clearInterval(timer);
  }, [path, every, again]);
  const mine = found.path === path;
  return { value: mine ? found.value : null, error: mine ? found.error : null, again };
}
