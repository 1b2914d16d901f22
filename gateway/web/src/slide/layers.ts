// What deck.gl draws: tiles, then density, points or outlines, then the selected cell.
import { BitmapLayer, PathLayer, ScatterplotLayer } from "@deck.gl/layers";
import type { Slide } from "../types";
import type { CellBlock } from "./blocks";
import { type Colouring, Density, middleColours, outlineColours } from "./palette";
import type { Tile } from "./tiles";

/** From here on a cell is large enough on the screen to have an outline. */
export const OUTLINES_ZOOM = -1.9;
/** Below, points would cover each other. */
export const POINTS_ZOOM = -4.5;

const OUTLINE_WIDTH = 1.5;

export function tileLayers(tiles: readonly Tile[]): BitmapLayer[] {
  return tiles.map((tile) => {
    const [left, top, right, bottom] = tile.bounds;
    return new BitmapLayer({
      id: `tile-${tile.zoom}-${tile.column}-${tile.row}`,
      image: tile.image,
      bounds: [left, bottom, right, top],
      textureParameters: {
        minFilter: "linear",
        magFilter: "linear",
        addressModeU: "clamp-to-edge",
        addressModeV: "clamp-to-edge",
      },
    });
  });
}

type Extent = Pick<Slide, "width_px" | "height_px">;

/** Attributes are built once for each block and colouring. */
export class CellLayers {
  private colouring: Colouring | null = null;
  private readonly points = new Map<number, object>();
  private readonly paths = new Map<number, object>();
  private raster: Density | null = null;
  private drawn: { size: number; image: ImageData } | null = null;

  draw(blocks: readonly CellBlock[], zoom: number, colouring: Colouring, slide: Extent) {
    if (colouring !== this.colouring) this.forget(colouring);
    if (zoom < POINTS_ZOOM) return [this.densityLayer(blocks, colouring, slide)];
    return blocks.map((one) =>
      zoom >= OUTLINES_ZOOM && one.outlines ? this.outlineLayer(one, colouring) : this.pointLayer(one, colouring),
    );
  }

  private forget(colouring: Colouring): void {
    this.colouring = colouring;
    this.points.clear();
    this.paths.clear();
    this.raster = null;
    this.drawn = null;
  }

  private pointLayer(one: CellBlock, colouring: Colouring): ScatterplotLayer {
    const data = kept(this.points, one.block.number, () => ({
      length: one.middles.length / 2,
      attributes: {
        getPosition: { value: one.middles, size: 2 },
        getFillColor: { value: middleColours(one, colouring), size: 4, normalized: true },
      },
    }));
    return new ScatterplotLayer({
      id: `points-${one.block.number}`,
      data: data as never,
      getRadius: 7,
      radiusMinPixels: 1.2,
      radiusMaxPixels: 4,
      antialiasing: true,
    });
  }

  private outlineLayer(one: CellBlock, colouring: Colouring): PathLayer {
    const starts = one.starts ?? new Uint32Array(1);
    const data = kept(this.paths, one.block.number, () => ({
      length: starts.length - 1,
      startIndices: starts,
      attributes: {
        getPath: { value: one.outlines, size: 2 },
        getColor: { value: outlineColours(one, colouring), size: 4, normalized: true },
      },
    }));
    return new PathLayer({
      id: `outlines-${one.block.number}`,
      data: data as never,
      _pathType: "open",
      positionFormat: "XY",
      widthUnits: "pixels",
      getWidth: OUTLINE_WIDTH,
      jointRounded: true,
      capRounded: true,
    });
  }

  private densityLayer(blocks: readonly CellBlock[], colouring: Colouring, slide: Extent): BitmapLayer {
    this.raster ??= new Density(slide.width_px, slide.height_px, colouring);
    this.raster.add(blocks);
    if (this.drawn?.size !== this.raster.size) {
      const { data, width, height } = this.raster.picture();
      this.drawn = { size: this.raster.size, image: new ImageData(data, width, height) };
    }
    const [width_px, height_px] = [
      this.drawn.image.width * this.raster.bin_px,
      this.drawn.image.height * this.raster.bin_px,
    ];
    return new BitmapLayer({
      id: "density",
      image: this.drawn.image as never,
      bounds: [0, height_px, width_px, 0],
      textureParameters: { minFilter: "nearest", magFilter: "nearest" },
    });
  }
}

function kept(cache: Map<number, object>, number: number, make: () => object): object {
  const known = cache.get(number);
  if (known) return known;
  const data = make();
  cache.set(number, data);
  return data;
}

export function selectionLayers(outline: Float32Array | null): PathLayer[] {
  if (!outline || outline.length < 6) return [];
  const data = [{ path: outline }];
  const ring = (id: string, width: number, color: [number, number, number]) =>
    new PathLayer({
      id,
      data,
      getPath: (one: { path: Float32Array }) => one.path as never,
      positionFormat: "XY",
      widthUnits: "pixels",
      getWidth: width,
      getColor: color,
      jointRounded: true,
      capRounded: true,
    });
  return [ring("selected-halo", 7, [255, 255, 255]), ring("selected", 3.5, [11, 110, 99])];
}
