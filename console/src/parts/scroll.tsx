// What scrolls by itself where the page is too narrow for it, and can be reached by keyboard then.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** `name` is for those who do not see where it stands. */
export function Scroll({ name, children }: { name: string; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  const [scrolls, setScrolls] = useState(false);
  useEffect(() => {
    const watched = box.current;
    if (!watched) return;
    const watcher = new ResizeObserver(() => setScrolls(watched.scrollWidth > watched.clientWidth));
    watcher.observe(watched);
    return () => watcher.disconnect();
  }, []);
  return (
    <div class="scroll" ref={box} tabIndex={scrolls ? 0 : undefined} role={scrolls ? "group" : undefined} aria-label={scrolls ? name : undefined}>
      {children}
    </div>
  );
}
