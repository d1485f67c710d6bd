// Lines over time, from nothing up. What they say also stands in a table.

import { Scroll } from "../parts/scroll.tsx";
import { Grid } from "./grid.tsx";
import { path, roundUp } from "./scale.ts";

export interface Line {
  name: string;
  /** Evenly spread; `null` where nothing is known. */
  values: (number | null)[];
}

interface Shown {
  lines: Line[];
  name: string;
  say: (value: number) => string;
  /** What the begin and the end are called. */
  from: string;
  to: string;
}

const WIDTH = 900;
const HEIGHT = 170;
const GROUND = 148;
const TOP = 10;
const LEFT = 64;

/** The stretches of a line in which something is known, each with where it begins. */
export function stretches(values: (number | null)[]): [number, number][][] {
  const found: [number, number][][] = [];
  values.forEach((value, at) => {
    if (value === null) return;
    const last = found.at(-1);
    if (last !== undefined && last.at(-1)?.[0] === at - 1) last.push([at, value]);
    else found.push([[at, value]]);
  });
  return found;
}

export function Lines({ lines, name, say, from, to }: Shown) {
  const known = lines.flatMap((line) => line.values).filter((value) => value !== null);
  const top = roundUp(Math.max(0, ...known));
  const longest = Math.max(2, ...lines.map((line) => line.values.length));
  const x = (at: number) => LEFT + (at / (longest - 1)) * (WIDTH - LEFT);
  const y = (value: number) => GROUND - (value / top) * (GROUND - TOP);
  return (
    <figure class="chart">
      <Scroll name={name}>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${name}: at most ${known.length === 0 ? "unknown" : say(Math.max(...known))}; the table has every value`}>
          <Grid left={LEFT} right={WIDTH} top={top} y={y} say={say} />
          {lines.map((line, index) =>
            stretches(line.values).map((stretch) => <path key={`${line.name} ${stretch[0]?.[0]}`} class={`stroke-${index}`} d={path(stretch.map(([at, value]) => [x(at), y(value)]))} />),
          )}
          <text class="tick" x={LEFT} y={GROUND + 16}>
            {from}
          </text>
          <text class="tick" x={WIDTH} y={GROUND + 16} text-anchor="end">
            {to}
          </text>
        </svg>
      </Scroll>
      <figcaption>
        {lines.map((line, index) => (
          <span class="legend" key={line.name}>
            <span class={`swatch fill-${index}`} /> {line.name}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}
