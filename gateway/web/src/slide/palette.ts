// Colours of cells: one table from class number to colour, so that a new label recolours without a request.
import { NO_CLASS, NOT_SURE } from "../labels";
import type { Klass } from "../types";
import { isHollow } from "../ui/parts";
import type { CellBlock } from "./blocks";

/** Ink's grey, for cells without a class; tissue is bright in either theme. */
const UNLABELLED = [84, 80, 74, 210] as const;
const NOT_A_CELL = [84, 80, 74, 90] as const;

export type Palette = Uint8Array;

export function paletteOf(classes: readonly Klass[], hidden: ReadonlySet<number>): Palette {
  const palette = new Uint8Array(256 * 4);
  for (let number = 0; number < 256; number += 1) palette.set(UNLABELLED, 4 * number);
  for (const klass of classes) palette.set(isHollow(klass) ? NOT_A_CELL : colourOf(klass.color), 4 * klass.number);
  for (const number of hidden) palette[4 * number + 3] = 0;
  if (hidden.has(NO_CLASS)) palette[4 * NOT_SURE + 3] = 0;
  return palette;
}

function colourOf(hex: string): [number, number, number, number] {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255, 255];
}

/** What colours the cells of one slide: classes from `row_start` on, and confidences where they are asked for. */
export interface Colouring {
  palette: Palette;
  classes: Uint8Array;
  confidence: Uint8Array | null;
  row_start: number;
}

function write(
  colours: Uint8Array,
  at: number,
  row: number,
  { palette, classes, confidence, row_start }: Colouring,
): void {
  const index = row - row_start;
  const number = classes[index] ?? NO_CLASS;
  const alpha = palette[4 * number + 3] ?? 0;
  colours[at] = palette[4 * number] ?? 0;
  colours[at + 1] = palette[4 * number + 1] ?? 0;
  colours[at + 2] = palette[4 * number + 2] ?? 0;
  colours[at + 3] = confidence && number !== NO_CLASS ? (alpha * (40 + 0.84 * (confidence[index] ?? 0))) / 255 : alpha;
}

/** One colour a cell. */
export function middleColours(one: CellBlock, colouring: Colouring): Uint8Array {
  const colours = new Uint8Array(2 * one.middles.length);
  for (let cell = 0; cell < one.middles.length / 2; cell += 1) {
    write(colours, 4 * cell, one.block.row_start + cell, colouring);
  }
  return colours;
}

/** One colour a point of each outline, as the path layer wants it. */
export function outlineColours(one: CellBlock, colouring: Colouring): Uint8Array {
  const starts = one.starts ?? new Uint32Array(1);
  const colours = new Uint8Array(4 * (starts[starts.length - 1] ?? 0));
  for (let cell = 0; cell + 1 < starts.length; cell += 1) {
    const [first = 0, stop = 0] = [starts[cell], starts[cell + 1]];
    if (stop <= first) continue;
    write(colours, 4 * first, one.block.row_start + cell, colouring);
    for (let point = first + 1; point < stop; point += 1) colours.copyWithin(4 * point, 4 * first, 4 * first + 4);
  }
  return colours;
}

const RASTER = 1024;
/** So many cells in a bin make it opaque. */
const CROWDED = 3;

/** From very far: per bin the mean colour of its cells, the denser the more opaque. Blocks are added as they arrive. */
export class Density {
  readonly bin_px: number;
  private readonly columns: number;
  private readonly rows: number;
  private readonly sums: Float32Array;
  private readonly added = new Set<number>();

  constructor(
    width_px: number,
    height_px: number,
    private readonly colouring: Colouring,
  ) {
    this.bin_px = Math.ceil(Math.max(width_px, height_px) / RASTER);
    this.columns = Math.ceil(width_px / this.bin_px);
    this.rows = Math.ceil(height_px / this.bin_px);
    this.sums = new Float32Array(4 * this.columns * this.rows);
  }

  get size(): number {
    return this.added.size;
  }

  add(blocks: readonly CellBlock[]): void {
    for (const one of blocks) {
      if (this.added.has(one.block.number)) continue;
      this.added.add(one.block.number);
      this.addBlock(one);
    }
  }

  private addBlock(one: CellBlock): void {
    const { sums, bin_px, columns, rows } = this;
    const colours = middleColours(one, this.colouring);
    for (let cell = 0; cell < one.middles.length / 2; cell += 1) {
      const column = Math.min(columns - 1, Math.max(0, Math.floor((one.middles[2 * cell] ?? 0) / bin_px)));
      const row = Math.min(rows - 1, Math.max(0, Math.floor((one.middles[2 * cell + 1] ?? 0) / bin_px)));
      const [at, alpha] = [4 * (row * columns + column), (colours[4 * cell + 3] ?? 0) / 255];
      for (let channel = 0; channel < 3; channel += 1) {
        sums[at + channel] = (sums[at + channel] ?? 0) + alpha * (colours[4 * cell + channel] ?? 0);
      }
      sums[at + 3] = (sums[at + 3] ?? 0) + alpha;
    }
  }

  /** Colours of the bins, four bytes each, and how many bins there are each way. */
  picture(): { data: Uint8ClampedArray<ArrayBuffer>; width: number; height: number } {
    const data = new Uint8ClampedArray(this.sums.length);
    for (let at = 0; at < this.sums.length; at += 4) {
      const weight = this.sums[at + 3] ?? 0;
      if (weight === 0) continue;
      for (let channel = 0; channel < 3; channel += 1) data[at + channel] = (this.sums[at + channel] ?? 0) / weight;
      data[at + 3] = 255 * Math.min(0.9, 0.35 + weight / CROWDED);
    }
    return { data, width: this.columns, height: this.rows };
  }
}
