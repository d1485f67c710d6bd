// A request's attempts along its time: connecting, waiting for the head, waiting for content, and content, each with its own
// fill; and how it ended. The table below says the same in numbers.

import { Scroll } from "../parts/scroll.tsx";
import type { Decision, Tried } from "../shapes.ts";
import { millis } from "../words.ts";

const WIDTH = 900;
const LEFT = 210;
const RIGHT = 96;
const ROW = 30;
const TOP = 22;

const PHASES = [
  { name: "connecting", fill: "connecting" },
  { name: "waiting for the head", fill: "waiting" },
  { name: "waiting for content", fill: "thinking" },
  { name: "content", fill: "flowing" },
] as const;

/** Where each phase of an attempt ends; what it did not come to ends with it. */
export function phases({ begun, sent, headers, first_content, ended }: Tried): { fill: string; from: number; to: number }[] {
  const ends = [sent, headers, first_content, ended];
  let from = begun;
  return PHASES.flatMap(({ fill }, at) => {
    const to = ends[at] ?? (ends.slice(at + 1, -1).some((end) => end !== undefined) ? from : ended);
    const phase = { fill, from, to };
    from = Math.max(from, to);
    return phase.to > phase.from ? [phase] : [];
  });
}

export function Waterfall({ of: decision }: { of: Decision }) {
  const total = Math.max(decision.millis, ...decision.tried.map((tried) => tried.ended), 0.001);
  const x = (at: number) => LEFT + (at / total) * (WIDTH - LEFT - RIGHT);
  const height = TOP + decision.tried.length * ROW + 8;
  const words = decision.tried.map((tried) => `${tried.channel}: ${tried.verdict} after ${millis(tried.ended - tried.begun)}`).join("; ");
  return (
    <figure class="chart">
      <Scroll name="Attempts along their time">
        <svg viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={`Attempts along ${millis(total)}: ${words}`}>
          {[0, 0.25, 0.5, 0.75, 1].map((share) => (
            <g key={share}>
              <path class="grid" d={`M${x(total * share)} ${TOP - 4}V${height}`} />
              <text class="tick" x={x(total * share)} y={12} text-anchor="middle">
                {millis(total * share)}
              </text>
            </g>
          ))}
          {decision.tried.map((tried, at) => {
            const y = TOP + at * ROW;
            return (
              <g key={at} class="attempt">
                <text x={0} y={y + 13} class="name">
                  {tried.channel.length > 27 ? `${tried.channel.slice(0, 26)}…` : tried.channel}
                </text>
                <text x={0} y={y + 25} class="small">
                  {tried.part}
                </text>
                {phases(tried).map(({ fill, from, to }) => (
                  <rect key={fill} class={fill} x={x(from)} y={y + 3} width={Math.max(1, x(to) - x(from))} height={18} />
                ))}
                <text x={x(tried.ended) + 6} y={y + 16} class={tried.verdict === "ok" ? "small" : "small bad"}>
                  {tried.verdict === "ok" ? "✓ ok" : `✕ ${tried.verdict.replaceAll("_", " ")}`}
                </text>
              </g>
            );
          })}
          {decision.first_byte !== undefined && <path class="first-byte" d={`M${x(decision.first_byte)} ${TOP - 4}V${height}`} />}
        </svg>
      </Scroll>
      <figcaption>
        {PHASES.map(({ name, fill }) => (
          <span class="legend" key={fill}>
            <span class={`swatch ${fill}`} /> {name}
          </span>
        ))}
        {decision.first_byte !== undefined && <span class="legend">┆ first byte to the caller: {millis(decision.first_byte)}</span>}
      </figcaption>
    </figure>
  );
}
