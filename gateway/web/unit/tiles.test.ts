import { describe, expect, test } from "vitest";
import { showing, whole, zoomed } from "../src/tiles/camera";
import { cellsAfter, flagged, labelled, undone } from "../src/tiles/kinds";
import { cellUnder, inReadingOrder, placed } from "../src/tiles/places";
import { clusteringOf } from "../src/tiles/truth";
import type { Clustering, SampleCell, SampleSlide } from "../src/types";

function square(number: number, x: number, y: number, side: number): SampleCell {
  const outline: [number, number][] = [
    [x, y],
    [x + side, y],
    [x + side, y + side],
    [x, y + side],
  ];
  return { number, outline, class_number: null, badly_segmented: false };
}

describe("cells of a tile", () => {
  const cells = [square(1, 0, 0, 100), square(2, 40, 40, 20), square(3, 200, 5, 10), square(4, 10, 200, 10)];

  test.each([
    [10, 10, 1],
    [50, 50, 2],
    [205, 10, 3],
    [150, 150, null],
  ])("under %d, %d the smallest outline that holds it is meant", (x, y, cell) => {
    expect(cellUnder(placed(cells), x, y)).toBe(cell);
    expect(cellUnder(placed([...cells].reverse()), x, y)).toBe(cell);
  });

  test("are gone through as one reads", () => {
    expect(inReadingOrder(placed(cells)).map((one) => one.number)).toEqual([3, 1, 2, 4]);
  });

  test("are what was said last, however often it is laid over them", () => {
    const words = [
      labelled("a", 1, [1, 2], 3),
      labelled("a", 2, [3], 1),
      flagged("a", 1, [2], true),
      labelled("a", 1, [1], null),
    ];
    const once = words.reduce((now, word) => cellsAfter(now, 1, word), cells as readonly SampleCell[]);
    expect(once.map((one) => [one.class_number, one.badly_segmented])).toEqual([
      [null, false],
      [3, true],
      [null, false],
      [null, false],
    ]);
    expect(words.reduce((now, word) => cellsAfter(now, 1, word), once)).toEqual(once);
    expect(cellsAfter(once, 1, undone("a", 1))).toBe(once);
  });

  test("every word has a name of its own, by which it is known when it is sent again", () => {
    expect(labelled("a", 1, [1], 1).event_id).not.toBe(labelled("a", 1, [1], 1).event_id);
  });
});

describe("what is seen of a tile", () => {
  const size = { width_px: 400, height_px: 200 };

  test("keeps the point that is pointed at, and never leaves the picture", () => {
    const near = zoomed(whole(size), size, 2, 100, 50);
    expect(near).toEqual({ x: 50, y: 25, width: 200, height: 100 });
    expect(zoomed(near, size, 1 / 16, 100, 50)).toEqual(whole(size));
    expect(zoomed(whole(size), size, 1000, 399, 199).width).toBe(48);
  });

  test("moves only where the selected cell is not seen well", () => {
    const near = { x: 0, y: 0, width: 100, height: 50 };
    expect(showing(near, size, [50, 25])).toBe(near);
    expect(showing(near, size, [300, 150])).toEqual({ x: 250, y: 125, width: 100, height: 50 });
  });
});

test("labels of a sample are measured on the clustering that has the most of its cells", () => {
  const slide = (job_id: string, cell_count: number) => ({ job_id, cell_count }) as SampleSlide;
  const clustering = (id: string, ...jobs: string[]) =>
    ({ id, slides: jobs.map((job_id) => ({ job_id })) }) as unknown as Clustering;
  const all = [clustering("one", "a"), clustering("both", "a", "b"), clustering("other", "c")];
  expect(clusteringOf({ slides: [slide("a", 10), slide("b", 5)] }, all)).toBe("both");
  expect(clusteringOf({ slides: [slide("a", 10)] }, all)).toBe("one");
  expect(clusteringOf({ slides: [slide("d", 10)] }, all)).toBe(null);
});
