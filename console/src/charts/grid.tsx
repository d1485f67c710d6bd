// The lines behind a chart, with what they stand for.

interface Shown {
  /** Where they begin, and end. */
  left: number;
  right: number;
  /** The value of the topmost. */
  top: number;
  y: (value: number) => number;
  say: (value: number) => string;
}

export function Grid({ left, right, top, y, say }: Shown) {
  return (
    <>
      {[0, 0.5, 1].map((share) => (
        <g key={share}>
          <path class="grid" d={`M${left} ${y(top * share)}H${right}`} />
          <text class="tick" x={left - 6} y={y(top * share) + 4} text-anchor="end">
            {say(top * share)}
          </text>
        </g>
      ))}
    </>
  );
}
