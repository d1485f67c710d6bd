// What something was over time, as one band: each state with its own fill, and its word in the list beside it.

import { kindOf } from "../parts/mark.tsx";
import { moment } from "../words.ts";

/** From `at` on it was `state`. */
export interface Turn {
  at: number;
  state: string;
}

const WIDTH = 900;
const HEIGHT = 44;

interface Shown {
  turns: Turn[];
  from: number;
  to: number;
  name: string;
  /** Times are Unix time in seconds unless this says otherwise. */
  say?: (at: number) => string;
  /** What the end of the band is called. */
  last?: string;
}

export function Timeline({ turns, from, to, name, say = moment, last = "now" }: Shown) {
  const x = (at: number) => (WIDTH * (Math.min(Math.max(at, from), to) - from)) / Math.max(1, to - from);
  const ordered = [...turns].sort((a, b) => a.at - b.at);
  const words = ordered.map((turn) => `${turn.state.replaceAll("_", " ")} from ${say(turn.at)}`).join(", ");
  return (
    <svg class="timeline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${name}: ${words}`}>
      {ordered.map((turn, at) => {
        const begin = x(turn.at);
        const end = x(ordered[at + 1]?.at ?? to);
        return (
          <rect key={at} class={`band ${kindOf(turn.state)}`} x={begin} y={2} width={Math.max(1, end - begin)} height={22}>
            <title>{`${turn.state.replaceAll("_", " ")} from ${say(turn.at)}`}</title>
          </rect>
        );
      })}
      <text class="tick" x={0} y={40}>
        {say(from)}
      </text>
      <text class="tick" x={WIDTH} y={40} text-anchor="end">
        {last}
      </text>
    </svg>
  );
}
