// Which part of a tile's picture is seen, as an SVG's viewBox.
export interface Seen {
  x: number;
  y: number;
  width: number;
  height: number;
}

interface Size {
  width_px: number;
  height_px: number;
}

const NEAREST_PX = 48;

export function whole({ width_px, height_px }: Size): Seen {
  return { x: 0, y: 0, width: width_px, height: height_px };
}

/** Keeps what is seen inside of the picture. */
function bounded(seen: Seen, size: Size): Seen {
  const within = (start: number, length: number, all: number) =>
    Math.min(Math.max(0, start), Math.max(0, all - length));
  return { ...seen, x: within(seen.x, seen.width, size.width_px), y: within(seen.y, seen.height, size.height_px) };
}

/** Nearer by a factor above 1; the point stays where it is. */
export function zoomed(seen: Seen, size: Size, factor: number, x: number, y: number): Seen {
  const width = Math.min(size.width_px, Math.max(NEAREST_PX, seen.width / factor));
  const scale = width / seen.width;
  const moved = { width, height: seen.height * scale, x: x - (x - seen.x) * scale, y: y - (y - seen.y) * scale };
  return bounded(moved, size);
}

export function moved(seen: Seen, size: Size, right: number, down: number): Seen {
  return bounded({ ...seen, x: seen.x + right, y: seen.y + down }, size);
}

/** Moves so far that a point is seen well. */
export function showing(seen: Seen, size: Size, [x, y]: readonly [number, number]): Seen {
  const [side, edge] = [seen.width / 8, seen.height / 8];
  const isSeen =
    x >= seen.x + side && x <= seen.x + seen.width - side && y >= seen.y + edge && y <= seen.y + seen.height - edge;
  return isSeen ? seen : bounded({ ...seen, x: x - seen.width / 2, y: y - seen.height / 2 }, size);
}
