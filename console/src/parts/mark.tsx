// States by shape: a filled circle, a square with a cross, a triangle, a ring, two bars. Colour only repeats what they say.

export type Kind = "good" | "bad" | "warn" | "idle" | "off";

const SHAPES: Record<Kind, string> = {
  good: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2Z",
  bad: "M3 2h10a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1V3a1 1 0 0 1 1-1Zm2.6 2.2L4.200 5.600 6.600 8l-2.400 2.400 1.400 1.400L8 9.400l2.400 2.400 1.400-1.400L9.400 8l2.400-2.400-1.400-1.400L8 6.600Z",
  warn: "M8 1.500 15.200 14.500H.8Zm-.9 5v4h1.800v-4Zm0 5.200v1.600h1.800v-1.600Z",
  idle: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2Zm0 2.200a3.800 3.800 0 1 0 0 7.600 3.800 3.800 0 0 0 0-7.600Z",
  off: "M3.500 2.500h3.200v11H3.500Zm5.800 0h3.200v11H9.300Z",
};

export function Mark({ kind }: { kind: Kind }) {
  return (
    <svg class={`mark ${kind}`} viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
      <path d={SHAPES[kind]} fill-rule="evenodd" />
    </svg>
  );
}

/** Of a word for how a breaker, an upstream, a key or a channel stands. */
export function kindOf(word: string): Kind {
  switch (word) {
    case "closed":
    case "up":
    case "ready":
    case "ok":
    case "here":
    case "works":
      return "good";
    case "open":
    case "breaker_open":
    case "probes_say_down":
    case "credentials_cooling":
    case "quota_used_up":
    case "model_missing":
    case "down":
    case "refused":
    case "away":
    case "fails":
    case "failed":
    case "broken":
      return "bad";
    case "half_open":
    case "doubted":
    case "stalled":
    case "full":
    case "failing":
    case "cooling":
    case "trickle":
    case "trial":
    case "last":
    case "short_of_quota":
      return "warn";
    case "forced_open":
    case "forced_closed":
    case "disabled":
    case "drain":
    case "draining":
    case "disabled_by_operator":
      return "off";
    default:
      return "idle";
  }
}

/** A mark with its word, which may be said in another way. */
export function State({ word, say }: { word: string; say?: string }) {
  return (
    <span class="state">
      <Mark kind={kindOf(word)} /> {say ?? word.replaceAll("_", " ")}
    </span>
  );
}
