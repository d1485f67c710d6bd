// From numbers to places on a chart.

/** The least round number that is not below `most`: 1, 2, 2.5 or 5 times a power of ten. */
export function roundUp(most: number): number {
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  const found = [1, 2, 2.5, 5, 10].find((step) => step * power >= most - 1e-12 * power);
  return (found ?? 10) * power;
}

/** A path through these places, `null` where there is nothing. */
export function path(places: [number, number][]): string {
  return places.map(([x, y], at) => `${at === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}
