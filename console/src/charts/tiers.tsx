// A route as a picture: from its name to its channels, tier by tier, as thick as the share that each gets. What gets nothing is
// joined by a broken line. The table beside it says the same in words.

import type { Explained, RouteChannel } from "../shapes.ts";
import { kindOf } from "../parts/mark.tsx";
import { Scroll } from "../parts/scroll.tsx";
import { rate } from "../words.ts";

const WIDTH = 900;
const ROW = 40;
const ROUTE_WIDTH = 170;
const CHANNEL_X = 470;
const THICKEST = 22;

/** What each channel gets of a request that would come now, by weight and ramp within those that are picked. */
export function shares(channels: RouteChannel[]): number[] {
  const weight = (channel: RouteChannel) => (channel.picked ? channel.weight * channel.ramp : 0);
  const sum = channels.reduce((sum, channel) => sum + weight(channel), 0);
  return channels.map((channel) => (sum > 0 ? weight(channel) / sum : 0));
}

function clipped(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

export function Tiers({ route, perSecond }: { route: Explained; perSecond: number }) {
  const order = route.channels.map((channel, at) => ({ channel, share: shares(route.channels)[at] ?? 0 }));
  order.sort((a, b) => a.channel.tier - b.channel.tier);
  const ends = [
    ...order.map(({ channel, share }) => ({
      key: channel.channel,
      tier: `tier ${channel.tier}`,
      name: channel.channel,
      word: share > 0 ? `${Math.round(share * 100)} %` : channel.picked ? "0 %" : channel.standing.replaceAll("_", " "),
      kind: kindOf(channel.standing === "ready" ? channel.breaker : channel.standing),
      share,
    })),
    ...route.fallback.map((name) => ({ key: `fallback ${name}`, tier: "fallback", name, word: "when nothing above helps", kind: "idle" as const, share: 0 })),
  ];
  const height = Math.max(1, ends.length) * ROW + 8;
  // Flows leave the route side by side.
  const begins = ends.map((_, at) => {
    const above = ends.slice(0, at).reduce((sum, end) => sum + end.share, 0);
    return (above + (ends[at]?.share ?? 0) / 2 - 0.5) * THICKEST;
  });
  const middle = height / 2;
  const words = `${route.route} goes to ${ends.map((end) => `${end.name} (${end.tier}, ${end.word})`).join(", ")}`;
  return (
    <Scroll name={`Where ${route.route} goes`}>
      <svg class="tiers" viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={words}>
        {ends.map((end, at) => {
          const y = at * ROW + ROW / 2 + 4;
          const thick = end.share > 0 ? Math.max(2, end.share * THICKEST) : 1.5;
          const begin = middle + (end.share > 0 ? (begins[at] ?? 0) : 0);
          const bend = (ROUTE_WIDTH + CHANNEL_X) / 2;
          return (
            <path
              key={end.key}
              class={end.share > 0 ? "flow" : "flow none"}
              stroke-width={thick}
              d={`M${ROUTE_WIDTH} ${begin}C${bend} ${begin} ${bend} ${y} ${CHANNEL_X} ${y}`}
            />
          );
        })}
        <rect class="node" x={1} y={middle - 20} width={ROUTE_WIDTH} height={40} rx={5} />
        <text x={12} y={middle - 2} class="name">
          {clipped(route.route, 22)}
        </text>
        <text x={12} y={middle + 13} class="small">
          {rate(perSecond)}/s
        </text>
        {ends.map((end, at) => {
          const y = at * ROW + ROW / 2 + 4;
          return (
            <g key={end.key}>
              <rect class={`node ${end.kind}`} x={CHANNEL_X} y={y - 16} width={WIDTH - CHANNEL_X - 1} height={32} rx={5} />
              <text x={CHANNEL_X + 12} y={y + 4} class="name">
                {clipped(end.name, 30)}
              </text>
              <text x={WIDTH - 12} y={y - 1} class="small" text-anchor="end">
                {end.tier}
              </text>
              <text x={WIDTH - 12} y={y + 12} class="small" text-anchor="end">
                {end.word}
              </text>
            </g>
          );
        })}
      </svg>
    </Scroll>
  );
}
