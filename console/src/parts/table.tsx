// A table that scrolls by itself where the page is too narrow for it.

import type { ComponentChildren } from "preact";
import { Scroll } from "./scroll.tsx";

interface Shown {
  /** What it is of, for those who do not see where it stands. */
  name: string;
  heads: (string | { name: string; numeric: true })[];
  children: ComponentChildren;
}

export function Table({ name, heads, children }: Shown) {
  return (
    <Scroll name={name}>
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
    </Scroll>
  );
}
