import { describe, expect, test } from "vitest";
import { needsNewJob, rowsOf } from "../src/jobs/store";
import { readRoute, writeRoute } from "../src/route";
import { cellAt, middlesRange, outlineOf, readBlock } from "../src/slide/blocks";
import { bounded, boxOf, onSlide, scaleBar, wholeSlide } from "../src/slide/camera";
import { Density, middleColours, outlineColours, paletteOf } from "../src/slide/palette";
import { Queue } from "../src/slide/queue";
import { coarsestZoom, tilesIn, tileZoom } from "../src/slide/tiles";
import type { Block, Job, Klass, Slide } from "../src/types";

const slide = { id: "s", width_px: 2220, height_px: 2967 } as Slide;
const view = { width: 1000, height: 800 };

describe("the camera", () => {
  test("the whole slide is in view, centred", () => {
    const [left, top, right, bottom] = boxOf(wholeSlide(slide, view), view);
    expect(left).toBeLessThan(0);
    expect(top).toBeLessThan(0);
    expect(right).toBeGreaterThan(slide.width_px);
    expect(bottom).toBeGreaterThan(slide.height_px);
    expect((left + right) / 2).toBeCloseTo(slide.width_px / 2);
  });
  test("a place on the screen and its place on the slide agree", () => {
    const camera = { x_px: 100, y_px: 200, zoom: 1 };
    expect(onSlide(camera, view, 500, 400)).toEqual([100, 200]);
    expect(onSlide(camera, view, 502, 396)).toEqual([101, 198]);
  });
  test("one cannot get lost", () => {
    const lost = bounded({ x_px: -1e6, y_px: 1e6, zoom: -40 }, slide, view);
    expect([lost.x_px, lost.y_px]).toEqual([0, 2967]);
    expect(lost.zoom).toBeGreaterThan(-4);
  });
  test("the scale bar is a round length of the right width", () => {
    const { length_um, width } = scaleBar({ x_px: 0, y_px: 0, zoom: -1 }, 0.5);
    expect(length_um).toBe(100);
    expect(width).toBeCloseTo(100);
  });
});

describe("tiles", () => {
  test("together the tiles of a zoom cover the slide", () => {
    for (let zoom = 0; zoom <= coarsestZoom(slide); zoom += 1) {
      const tiles = tilesIn([-1e5, -1e5, 1e5, 1e5], zoom, slide);
      const step = 512 * 2 ** zoom;
      expect(tiles.length).toBe(Math.ceil(slide.width_px / step) * Math.ceil(slide.height_px / step));
    }
    expect(tilesIn([-1e5, -1e5, 1e5, 1e5], coarsestZoom(slide), slide)).toHaveLength(1);
  });
  test("a box asks for the tiles that it touches, the nearest first", () => {
    const tiles = tilesIn([600, 100, 1100, 400], 0, slide);
    expect(tiles).toEqual([
      { zoom: 0, column: 1, row: 0 },
      { zoom: 0, column: 2, row: 0 },
    ]);
  });
  test("finer screens get finer tiles", () => {
    const camera = { x_px: 0, y_px: 0, zoom: -2 };
    expect(tileZoom(camera, slide, 1)).toBe(2);
    expect(tileZoom(camera, slide, 2)).toBe(1);
    expect(tileZoom({ ...camera, zoom: 3 }, slide, 1)).toBe(0);
  });
});

/** Two square cells around (10, 10) and (40.4, 10). */
function twoCells(): { block: Block; raw: Uint8Array } {
  const raw = new Uint8Array(16 + 16 + 12 + 32);
  const data = new DataView(raw.buffer);
  for (const [index, value] of [7, 2, 8, 0].entries()) data.setUint32(4 * index, value, true);
  for (const [index, value] of [10, 10, 40.4, 10].entries()) data.setFloat32(16 + 4 * index, value, true);
  for (const [index, value] of [0, 4, 8].entries()) data.setUint32(32 + 4 * index, value, true);
  const square = [-20, -20, 20, -20, 20, 20, -20, 20];
  for (const [index, value] of [...square, ...square].entries()) data.setInt16(44 + 2 * index, value, true);
  return { block: { number: 0, x_px: 0, y_px: 0, row_start: 7, row_stop: 9 }, raw };
}

describe("blocks of cells", () => {
  const { block, raw } = twoCells();
  const whole = readBlock(block, raw);

  test("outlines are closed and lie around the rounded middle", () => {
    expect([...(outlineOf(whole, 7) ?? [])]).toEqual([5, 5, 15, 5, 15, 15, 5, 15, 5, 5]);
    expect([...(outlineOf(whole, 8) ?? [])].slice(0, 2)).toEqual([35, 5]);
  });
  test("middles alone are a prefix of the block", () => {
    const [start, stop] = middlesRange(block);
    const far = readBlock(block, raw.subarray(start, stop));
    expect([...far.middles].map(Math.round)).toEqual([10, 10, 40, 10]);
    expect(far.outlines).toBeNull();
  });
  test("a click finds the cell whose outline holds it, else the nearest within reach, else none", () => {
    expect(cellAt([whole], 13, 13, 4)).toBe(7);
    expect(cellAt([whole], 33, 10, 8)).toBe(8);
    expect(cellAt([whole], 25, 30, 6)).toBeNull();
  });
  test("colours follow the palette: one a middle, one a point of the outline, none where hidden", () => {
    const classes: Klass[] = [{ number: 1, name: "Tumour", color: "#d55e00", key: "1" }];
    const labels = { classes: Uint8Array.from([1, 0]), confidence: null, row_start: 7 };
    const shown = { ...labels, palette: paletteOf(classes, new Set()) };
    expect([...middleColours(whole, shown).subarray(0, 4)]).toEqual([0xd5, 0x5e, 0x00, 255]);
    const points = outlineColours(whole, shown);
    expect(points).toHaveLength(4 * 10);
    expect([...points.subarray(16, 20)]).toEqual([0xd5, 0x5e, 0x00, 255]);
    expect([...points.subarray(20, 23)]).not.toEqual([0xd5, 0x5e, 0x00]);
    expect(middleColours(whole, { ...labels, palette: paletteOf(classes, new Set([1])) })[3]).toBe(0);
  });
});

test("density counts each block once and is the more opaque the more cells a bin holds", () => {
  const { block, raw } = twoCells();
  const one = readBlock(block, raw);
  const classes: Klass[] = [{ number: 1, name: "Tumour", color: "#d55e00", key: "1" }];
  const palette = paletteOf(classes, new Set());
  const density = new Density(2048, 1024, {
    palette,
    classes: Uint8Array.from([1, 1]),
    confidence: null,
    row_start: 7,
  });
  const bin = (x_px: number, y_px: number) => 4 * (Math.floor(y_px / 2) * 1024 + Math.floor(x_px / 2));
  density.add([one]);
  const before = density.picture();
  density.add([one]);
  expect(density.picture().data[bin(10, 10) + 3]).toBe(before.data[bin(10, 10) + 3]);
  expect(density.size).toBe(1);
  expect([before.width, before.height]).toEqual([1024, 512]);
  expect([...before.data.subarray(bin(10, 10), bin(10, 10) + 3)]).toEqual([0xd5, 0x5e, 0x00]);
  expect(before.data[bin(100, 100) + 3]).toBe(0);
  density.add([{ ...one, block: { ...block, number: 1 } }]);
  expect(density.picture().data[bin(10, 10) + 3]).toBeGreaterThan(before.data[bin(10, 10) + 3] ?? 255);
});

test("routes survive the trip through the address", () => {
  const at = { x_px: 12, y_px: 34, row: 5 };
  const screen = { screen: "slide", labelling: "l/1", slide: "s 2", at } as const;
  expect(readRoute(writeRoute(screen))).toEqual(screen);
  expect(readRoute(writeRoute({ screen: "board", labelling: "x" }))).toEqual({ screen: "board", labelling: "x" });
  expect(readRoute("#/nowhere")).toEqual({ screen: "home" });
});

test("a slide's row shows its newest job", () => {
  const job = (id: string, created_at: string) => ({ id, slide_id: "s", created_at }) as Job;
  const jobs = new Map([job("new", "2026-02"), job("old", "2026-01")].map((one) => [one.id, one]));
  const [row] = rowsOf([{ ...slide, created_at: "2026-01" }], jobs, new Map());
  expect(row?.job?.id).toBe("new");
});

test("a job whose models are gone is not tried again, but started anew", () => {
  const job = (state: Job["state"], reason: string) => ({ state, error: { reason } }) as unknown as Job;
  expect(needsNewJob(job("failed", "MODEL_UNAVAILABLE"))).toBe(true);
  expect(needsNewJob(job("failed", "LICENCE_FORBIDS"))).toBe(true);
  expect(needsNewJob(job("failed", "STORAGE_FULL"))).toBe(false);
  expect(needsNewJob(job("cancelled", "MODEL_UNAVAILABLE"))).toBe(false);
});

describe("the queue", () => {
  function wish(name: string, begun: string[]) {
    let end: (error?: Error) => void = () => {};
    const fetch = (signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        begun.push(name);
        end = (error) => (error ? reject(error) : resolve());
        signal.addEventListener("abort", () => reject(new Error("given up")));
      });
    return { name, fetch, end: (error?: Error) => end(error) };
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  test("a few at a time, in their order, each once", async () => {
    const begun: string[] = [];
    const wishes = ["a", "b", "c"].map((name) => wish(name, begun));
    const queue = new Queue(2, () => {});
    queue.want(wishes);
    expect(begun).toEqual(["a", "b"]);
    wishes[0]?.end();
    await turn();
    queue.want(wishes);
    expect(begun).toEqual(["a", "b", "c"]);
  });
  test("what is wanted no more is given up, without a complaint, and may be wanted again", async () => {
    const [begun, failed]: [string[], unknown[]] = [[], []];
    const queue = new Queue(2, (error) => failed.push(error));
    queue.want([wish("a", begun)]);
    queue.want([]);
    await turn();
    queue.want([wish("a", begun)]);
    expect([begun, failed]).toEqual([["a", "a"], []]);
  });
  test("a failure is told once and not tried again", async () => {
    const [begun, failed]: [string[], unknown[]] = [[], []];
    const queue = new Queue(2, (error) => failed.push(error));
    const bad = wish("a", begun);
    queue.want([bad]);
    bad.end(new Error("no"));
    await turn();
    queue.want([bad]);
    expect([begun.length, failed.length]).toEqual([1, 1]);
  });
});
