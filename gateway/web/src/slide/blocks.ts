// Cells of a slide by blocks: middles of all from far, outlines of those in view from near.
import { api } from "../api";
import type { Block } from "../types";
import { type Box, overlaps } from "./camera";
import { Queue } from "./queue";

const HEADER = 16;
const AT_ONCE = 4;
/** Outlines reach over their block's border. */
const REACH_PX = 64;

export interface CellBlock {
  block: Block;
  /** x, y of each cell's middle, level-0 pixels. */
  middles: Float32Array;
  /** Closed outlines, x, y in level-0 pixels, or null where only middles were asked for. */
  outlines: Float32Array | null;
  /** Where each outline starts, in points; one more at the end. */
  starts: Uint32Array | null;
}

/** Bytes of a block that hold its middles, without the outlines. */
export function middlesRange(block: Block): [number, number] {
  return [0, HEADER + 8 * (block.row_stop - block.row_start)];
}

export function readBlock(block: Block, raw: Uint8Array): CellBlock {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const cell_count = view.getUint32(4, true);
  const middles = new Float32Array(2 * cell_count);
  for (let index = 0; index < middles.length; index += 1) middles[index] = view.getFloat32(HEADER + 4 * index, true);
  const at = HEADER + 8 * cell_count;
  if (raw.byteLength <= at) return { block, middles, outlines: null, starts: null };
  return { block, middles, ...readOutlines(view, at, middles) };
}

/** Level-0 pixels from quarters of them, counted from the rounded middle; each outline is closed by repeating its first point. */
function readOutlines(
  view: DataView,
  at: number,
  middles: Float32Array,
): { outlines: Float32Array; starts: Uint32Array } {
  const cell_count = middles.length / 2;
  const offset = (cell: number) => view.getUint32(at + 4 * cell, true);
  const vertices_at = at + 4 * (cell_count + 1);
  const outlines = new Float32Array(2 * (offset(cell_count) + cell_count));
  const starts = new Uint32Array(cell_count + 1);
  let point = 0;
  for (let cell = 0; cell < cell_count; cell += 1) {
    const [first, stop] = [offset(cell), offset(cell + 1)];
    const [x, y] = [Math.round(middles[2 * cell] ?? 0), Math.round(middles[2 * cell + 1] ?? 0)];
    starts[cell] = point;
    for (let step = first; step < stop + (stop > first ? 1 : 0); step += 1) {
      const vertex = vertices_at + 4 * (step < stop ? step : first);
      outlines[2 * point] = x + view.getInt16(vertex, true) / 4;
      outlines[2 * point + 1] = y + view.getInt16(vertex + 2, true) / 4;
      point += 1;
    }
  }
  starts[cell_count] = point;
  return { outlines: outlines.subarray(0, 2 * point), starts };
}

/** Row of the cell under a point in level-0 pixels: the one whose outline holds it, else the nearest middle within reach. */
export function cellAt(blocks: readonly CellBlock[], x: number, y: number, reach_px: number): number | null {
  let best: { row: number; distance: number } | null = null;
  for (const one of blocks) {
    for (let cell = 0; cell < one.middles.length / 2; cell += 1) {
      const away = Math.hypot((one.middles[2 * cell] ?? 0) - x, (one.middles[2 * cell + 1] ?? 0) - y);
      if (away > Math.max(reach_px, REACH_PX)) continue;
      const distance = isInside(one, cell, x, y) ? away / 1e6 : away;
      if (distance <= reach_px && (!best || distance < best.distance))
        best = { row: one.block.row_start + cell, distance };
    }
  }
  return best ? best.row : null;
}

function isInside({ outlines, starts }: CellBlock, cell: number, x: number, y: number): boolean {
  if (!outlines || !starts) return false;
  let inside = false;
  for (let point = starts[cell] ?? 0; point < (starts[cell + 1] ?? 0) - 1; point += 1) {
    const [ax = 0, ay = 0, bx = 0, by = 0] = outlines.subarray(2 * point, 2 * point + 4);
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

/** x, y of its outline in level-0 pixels, where it is there. */
export function outlineOf(one: CellBlock, row: number): Float32Array | null {
  const cell = row - one.block.row_start;
  if (!one.outlines || !one.starts || cell < 0 || row >= one.block.row_stop) return null;
  return one.outlines.subarray(2 * (one.starts[cell] ?? 0), 2 * (one.starts[cell + 1] ?? 0));
}

export class Blocks {
  private list: readonly Block[] = [];
  private block_px = 0;
  private readonly there = new Map<number, CellBlock>();
  private readonly queue: Queue;

  constructor(
    private readonly clustering: string,
    private readonly slide: string,
    private readonly onArrival: () => void,
    onFailure: (error: unknown) => void,
  ) {
    this.queue = new Queue(AT_ONCE, onFailure);
  }

  async open(): Promise<void> {
    const answer = await api.blocks(this.clustering, this.slide);
    this.list = answer.blocks;
    this.block_px = answer.block_px;
  }

  private boxOf(block: Block): Box {
    const { x_px, y_px } = block;
    return [x_px - REACH_PX, y_px - REACH_PX, x_px + this.block_px + REACH_PX, y_px + this.block_px + REACH_PX];
  }

  want(box: Box, near: boolean): void {
    const inView = this.list.filter((block) => overlaps(this.boxOf(block), box));
    const [x, y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
    const distance = (block: Block) =>
      Math.hypot(block.x_px + this.block_px / 2 - x, block.y_px + this.block_px / 2 - y);
    const lacking = inView.filter((block) => !this.isThere(block, near)).sort((a, b) => distance(a) - distance(b));
    this.queue.want(
      lacking.map((block) => ({
        name: `${block.number}${near ? "" : " middles"}`,
        fetch: (signal) => this.fetch(block, near, signal),
      })),
    );
  }

  private isThere(block: Block, near: boolean): boolean {
    const known = this.there.get(block.number);
    return known !== undefined && (!near || known.outlines !== null);
  }

  private async fetch(block: Block, near: boolean, signal: AbortSignal): Promise<void> {
    const range = near ? null : middlesRange(block);
    const raw = await api.block(this.clustering, this.slide, block.number, range, signal);
    if (!this.isThere(block, true)) this.there.set(block.number, readBlock(block, raw));
    this.onArrival();
  }

  shown(box: Box): CellBlock[] {
    return [...this.there.values()].filter((one) => overlaps(this.boxOf(one.block), box));
  }

  all(): CellBlock[] {
    return [...this.there.values()];
  }

  close(): void {
    this.queue.close();
  }
}
