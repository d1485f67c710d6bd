// A line of the last minute, as small as a word. What it says stands beside it in numbers.

import { path } from "./scale.ts";

const WIDTH = 72;
const HEIGHT = 16;

export function Spark({ values, most }: { values: number[]; most: number }) {
  const step = WIDTH / Math.max(1, values.length - 1);
  const y = (value: number) => HEIGHT - 1 - (value / (most || 1)) * (HEIGHT - 2);
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} aria-hidden="true">
      <path d={path(values.map((value, at) => [at * step, y(value)]))} />
    </svg>
  );
}
