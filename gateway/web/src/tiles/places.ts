// Which cell lies under a point: of all outlines that hold it the smallest, so that a cell inside of another can be meant.
import type { SampleCell } from "../types";

type Ring = readonly (readonly [number, number])[];

export interface Placed {
  number: number;
  ring: Ring;
  area: number;
  /** left, top, right, bottom */
  box: readonly [number, number, number, number];
  middle: readonly [number, number];
}

export function placed(cells: readonly SampleCell[]): Placed[] {
  return cells.map(({ number, outline }) => {
    const [xs, ys] = [outline.map(([x]) => x), outline.map(([, y]) => y)];
    const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] as const;
    return {
      number,
      ring: outline,
      area: areaOf(outline),
      box,
      middle: [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2] as const,
    };
  });
}

function areaOf(ring: Ring): number {
  let twice = 0;
  ring.forEach(([x, y], at) => {
    const [nx, ny] = ring[(at + 1) % ring.length] ?? [x, y];
    twice += x * ny - nx * y;
  });
  return Math.abs(twice) / 2;
}

function isInside(ring: Ring, x: number, y: number): boolean {
  let inside = false;
  ring.forEach(([ax, ay], at) => {
    const [bx, by] = ring[(at + 1) % ring.length] ?? [ax, ay];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  });
  return inside;
}

/** Number of the cell under a point; null where there is none. */
export function cellUnder(cells: readonly Placed[], x: number, y: number): number | null {
  let best: Placed | null = null;
  for (const one of cells) {
    const [left, top, right, bottom] = one.box;
    if (x < left || x > right || y < top || y > bottom || (best && best.area <= one.area)) continue;
    if (isInside(one.ring, x, y)) best = one;
  }
  return best?.number ?? null;
}

/** So high is a line of cells that are gone through from left to right. */
const LINE_PX = 40;

/** In the order in which one reads: line after line. */
export function inReadingOrder(cells: readonly Placed[]): Placed[] {
  const line = (one: Placed) => Math.floor(one.middle[1] / LINE_PX);
  return [...cells].sort((a, b) => line(a) - line(b) || a.middle[0] - b.middle[0]);
}
