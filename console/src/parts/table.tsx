// A table that scrolls by itself where the page is too narrow for it, and can be reached by keyboard then.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

interface Shown {
  /** What it is of, for those who do not see where it stands. */
  name: string;
  heads: (string | { name: string; numeric: true })[];
  children: ComponentChildren;
}

export function Table({ name, heads, children }: Shown) {
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
      <table>
        <caption class="unseen">{name}</caption>
        <thead>
          <tr>
            {heads.map((head) => {
              const text = typeof head === "string" ? head : head.name;
              return (
                <th key={text} scope="col" class={typeof head === "string" ? undefined : "number"}>
                  {text}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
