// Which tiles of the slide are needed, and those that are there. Coarser ones stand in until finer ones arrive.
import { api, request } from "../api";
import type { Slide } from "../types";
import { type Box, type Camera, overlaps } from "./camera";
import { Queue } from "./queue";

export const TILE_PX = 512;
const KEPT = 320;
const AT_ONCE = 6;

export interface TileAt {
  zoom: number;
  column: number;
  row: number;
}

export interface Tile extends TileAt {
  image: ImageBitmap;
  /** In level-0 pixels. */
  bounds: Box;
}

export function coarsestZoom(slide: Slide): number {
  return Math.max(0, Math.ceil(Math.log2(Math.max(slide.width_px, slide.height_px) / TILE_PX)));
}

/** The tile zoom whose pixels are about as large as the screen's. */
export function tileZoom(camera: Camera, slide: Slide, pixel_ratio: number): number {
  const wanted = Math.floor(-camera.zoom - Math.log2(pixel_ratio) + 0.3);
  return Math.min(coarsestZoom(slide), Math.max(0, wanted));
}

/** Tiles of one zoom that touch the box (level-0 pixels), nearest to its middle first. */
export function tilesIn(box: Box, zoom: number, slide: Slide): TileAt[] {
  const step = TILE_PX * 2 ** zoom;
  const last = (size: number) => Math.ceil(size / step) - 1;
  const [first_column, first_row] = [Math.max(0, Math.floor(box[0] / step)), Math.max(0, Math.floor(box[1] / step))];
  const last_column = Math.min(last(slide.width_px), Math.floor(box[2] / step));
  const last_row = Math.min(last(slide.height_px), Math.floor(box[3] / step));
  const tiles: TileAt[] = [];
  for (let row = first_row; row <= last_row; row += 1) {
    for (let column = first_column; column <= last_column; column += 1) tiles.push({ zoom, column, row });
  }
  const [x, y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  const distance = (tile: TileAt) => Math.hypot((tile.column + 0.5) * step - x, (tile.row + 0.5) * step - y);
  return tiles.sort((a, b) => distance(a) - distance(b));
}

function nameOf(tile: TileAt): string {
  return `${tile.zoom}/${tile.column}_${tile.row}`;
}

export class Tiles {
  private readonly there = new Map<string, Tile>();
  private readonly queue: Queue;

  constructor(
    private readonly slide: Slide,
    private readonly onArrival: () => void,
    onFailure: (error: unknown) => void,
  ) {
    this.queue = new Queue(AT_ONCE, onFailure);
  }

  /** Asks for what the box needs at this zoom, and for the coarsest tile, which stands in for all others. */
  want(box: Box, zoom: number): void {
    const whole: Box = [0, 0, this.slide.width_px, this.slide.height_px];
    const wanted = [...tilesIn(whole, coarsestZoom(this.slide), this.slide), ...tilesIn(box, zoom, this.slide)];
    this.queue.want(wanted.map((at) => ({ name: nameOf(at), fetch: (signal) => this.fetch(at, signal) })));
  }

  private async fetch(at: TileAt, signal: AbortSignal): Promise<void> {
    const response = await request(api.tile(this.slide.id, at.zoom, at.column, at.row), { signal });
    const image = await createImageBitmap(await response.blob());
    this.keep({ ...at, image, bounds: boundsOf(at, image) });
    this.onArrival();
  }

  private keep(tile: Tile): void {
    this.there.set(nameOf(tile), tile);
    for (const [name, { zoom }] of this.there) {
      if (this.there.size <= KEPT) break;
      if (zoom === coarsestZoom(this.slide)) continue;
      this.there.delete(name);
      this.queue.forget(name);
    }
  }

  /** Tiles to draw, coarse ones first; nothing finer than asked for. */
  shown(box: Box, zoom: number): Tile[] {
    const shown = [...this.there.values()].filter((tile) => tile.zoom >= zoom && overlaps(tile.bounds, box));
    return shown.sort((a, b) => b.zoom - a.zoom);
  }

  close(): void {
    this.queue.close();
  }
}

function boundsOf(at: TileAt, image: ImageBitmap): Box {
  const down = 2 ** at.zoom;
  const [x, y] = [at.column * TILE_PX * down, at.row * TILE_PX * down];
  return [x, y, x + image.width * down, y + image.height * down];
}
