// Which tiles of the slide are needed, and those that are there. Coarser ones stand in until finer ones arrive.
import { api, request } from "../api";
import type { Slide } from "../types";
import { type Box, type Camera, overlaps } from "./camera";

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

/** Tiles of one zoom that touch the box, nearest to its middle first. */
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
  private readonly coming = new Map<string, AbortController>();
  private readonly missing = new Set<string>();
  private wanted: TileAt[] = [];

  constructor(
    private readonly slide: Slide,
    private readonly onArrival: () => void,
  ) {}

  /** Asks for what the box needs at this zoom, and for the coarsest tile once. */
  want(box: Box, zoom: number): void {
    const coarsest = coarsestZoom(this.slide);
    const whole: Box = [0, 0, this.slide.width_px, this.slide.height_px];
    this.wanted = [...tilesIn(whole, coarsest, this.slide), ...tilesIn(box, zoom, this.slide)];
    const names = new Set(this.wanted.map(nameOf));
    for (const [name, abort] of this.coming) if (!names.has(name)) abort.abort();
    this.fetchMore();
  }

  private fetchMore(): void {
    for (const tile of this.wanted) {
      const name = nameOf(tile);
      if (this.coming.size >= AT_ONCE) return;
      if (!this.there.has(name) && !this.coming.has(name) && !this.missing.has(name)) void this.fetch(tile, name);
    }
  }

  private async fetch(at: TileAt, name: string): Promise<void> {
    const abort = new AbortController();
    this.coming.set(name, abort);
    try {
      const response = await request(api.tile(this.slide.id, at.zoom, at.column, at.row), { signal: abort.signal });
      const image = await createImageBitmap(await response.blob());
      this.keep(name, { ...at, image, bounds: this.boundsOf(at, image) });
    } catch {
      // An aborted tile is wanted no more; one that cannot be had stays missing, the coarser one shows in its place.
      if (!abort.signal.aborted) this.missing.add(name);
    } finally {
      this.coming.delete(name);
      if (!abort.signal.aborted) this.onArrival();
      this.fetchMore();
    }
  }

  private boundsOf(at: TileAt, image: ImageBitmap): Box {
    const down = 2 ** at.zoom;
    const [x, y] = [at.column * TILE_PX * down, at.row * TILE_PX * down];
    return [x, y, x + image.width * down, y + image.height * down];
  }

  private keep(name: string, tile: Tile): void {
    this.there.set(name, tile);
    for (const [old, { zoom }] of this.there) {
      if (this.there.size <= KEPT) break;
      if (zoom < coarsestZoom(this.slide)) this.there.delete(old);
    }
  }

  /** Tiles to draw, coarse ones first; nothing finer than asked for. */
  shown(box: Box, zoom: number): Tile[] {
    const shown = [...this.there.values()].filter((tile) => tile.zoom >= zoom && overlaps(tile.bounds, box));
    return shown.sort((a, b) => b.zoom - a.zoom);
  }

  get areMissing(): boolean {
    return this.missing.size > 0;
  }

  close(): void {
    this.wanted = [];
    for (const abort of this.coming.values()) abort.abort();
  }
}
