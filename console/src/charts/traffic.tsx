// Requests of the last minutes, second by second: all of them as an area, those that failed as bars from the ground, those
// that the gateway refused itself as bars on these, those that were saved as ticks under it.

import { rate } from "../words.ts";
import type { Second } from "../shapes.ts";
import { path, roundUp } from "./scale.ts";

const WIDTH = 900;
const HEIGHT = 120;
const GROUND = 98;
const TOP = 10;
/** Seconds across. */
const SECONDS = 300;

const all = (second: Second) =>
  second.ok + second.client_fault + second.refused + second.failed + second.broken + second.cancelled;
const bad = (second: Second) => second.failed + second.broken;

export function Traffic({ seconds }: { seconds: Second[] }) {
  const top = roundUp(Math.max(1, ...seconds.map(all)));
  const x = (at: number) => WIDTH - ((seconds.length - 1 - at) * WIDTH) / SECONDS;
  const y = (value: number) => GROUND - (value / top) * (GROUND - TOP);
  const line: [number, number][] = seconds.map((second, at) => [x(at), y(all(second))]);
  const first = line[0]?.[0] ?? WIDTH;
  const step = WIDTH / SECONDS;
  const failed = seconds.reduce((sum, second) => sum + bad(second), 0);
  const refused = seconds.reduce((sum, second) => sum + second.refused, 0);
  const saved = seconds.reduce((sum, second) => sum + second.saved, 0);
  const words = `Requests per second over the last five minutes, at most ${rate(Math.max(0, ...seconds.map(all)))}; ${failed} failed, ${refused} refused by the gateway, ${saved} saved by another channel`;
  return (
    <figure class="chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={words} preserveAspectRatio="none">
        <g class="grid">
          <path d={`M0 ${y(top)}H${WIDTH}M0 ${y(top / 2)}H${WIDTH}M0 ${GROUND}H${WIDTH}`} />
        </g>
        {line.length > 1 && (
          <>
            <path class="area" d={`${path(line)}L${WIDTH} ${GROUND}L${first.toFixed(1)} ${GROUND}Z`} />
            <path class="line" d={path(line)} />
          </>
        )}
        {seconds.map((second, at) => bad(second) > 0 && <rect key={at} class="failed" x={x(at) - step / 2} width={step} y={y(bad(second))} height={GROUND - y(bad(second))} />)}
        {seconds.map((second, at) => second.refused > 0 && <rect key={at} class="refused" x={x(at) - step / 2} width={step} y={y(bad(second) + second.refused)} height={y(bad(second)) - y(bad(second) + second.refused)} />)}
        {seconds.map((second, at) => second.saved > 0 && <rect key={at} class="saved" x={x(at) - step / 2} width={step} y={GROUND + 3} height={6} />)}
      </svg>
      <figcaption>
        <span class="axis">5 min ago</span>
        <span class="legend">
          <span class="swatch area" /> requests a second, up to {rate(top)}
        </span>
        <span class="legend">
          <span class="swatch failed" /> failed: {failed}
        </span>
        <span class="legend">
          <span class="swatch refused" /> refused by the gateway: {refused}
        </span>
        <span class="legend">
          <span class="swatch saved" /> saved by another channel: {saved}
        </span>
        <span class="axis">now</span>
      </figcaption>
    </figure>
  );
}
