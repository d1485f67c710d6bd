// Stacked bars over days or hours. Every value also stands in the table below it, which is what screen readers read.

import { Scroll } from "../parts/scroll.tsx";
import { Grid } from "./grid.tsx";
import { roundUp } from "./scale.ts";

export interface Series {
  name: string;
  /** One for each label. */
  values: number[];
  /** A fill that says what it is of, in place of the next one. */
  fill?: string;
}

interface Shown {
  labels: string[];
  series: Series[];
  say: (value: number) => string;
  name: string;
}

const WIDTH = 900;
const HEIGHT = 220;
const GROUND = 196;
const TOP = 12;
const LEFT = 64;
/** Different fills; what is beyond them is summed up as "others" by whoever makes the series. */
export const FILLS = 8;

const fill = (one: Series, index: number) => one.fill ?? `fill-${index % FILLS}`;

export function Bars({ labels, series, say, name }: Shown) {
  const sums = labels.map((_, at) => series.reduce((sum, one) => sum + (one.values[at] ?? 0), 0));
  const top = roundUp(Math.max(0, ...sums));
  const step = (WIDTH - LEFT) / Math.max(1, labels.length);
  const thick = Math.min(56, step * 0.72);
  const y = (value: number) => GROUND - (value / top) * (GROUND - TOP);
  const every = Math.ceil(labels.length / 10);
  return (
    <figure class="chart">
      <Scroll name={name}>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${name}; the table below has every value`}>
          <Grid left={LEFT} right={WIDTH} top={top} y={y} say={say} />
          {labels.map((label, at) => {
            let below = 0;
            const x = LEFT + at * step + (step - thick) / 2;
            return (
              <g key={label}>
                {series.map((one, index) => {
                  const value = one.values[at] ?? 0;
                  if (value <= 0) return null;
                  const bottom = y(below);
                  below += value;
                  return (
                    <rect key={one.name} class={fill(one, index)} x={x} y={y(below)} width={thick} height={Math.max(0.5, bottom - y(below))}>
                      <title>{`${label}, ${one.name}: ${say(value)}`}</title>
                    </rect>
                  );
                })}
                {at % every === 0 && (
                  <text class="tick" x={x + thick / 2} y={GROUND + 16} text-anchor="middle">
                    {label}
                  </text>
                )}
              </g>
            );
          })}
        </svg>
      </Scroll>
      {series.length > 1 && (
        <figcaption>
          {series.map((one, index) => (
            <span class="legend" key={one.name}>
              <span class={`swatch ${fill(one, index)}`} /> {one.name}
            </span>
          ))}
        </figcaption>
      )}
    </figure>
  );
}
