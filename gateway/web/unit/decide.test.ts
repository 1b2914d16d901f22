import { describe, expect, test } from "vitest";
import {
  accepted,
  canAccept,
  classForKey,
  deferred,
  give,
  named,
  ODD,
  release,
  shortSummary,
  summary,
  touch,
  UNDECIDED,
} from "../src/board/decide";
import type { Klass, Page, PageCell } from "../src/types";

const classes: Klass[] = [
  { number: 1, name: "Tumour", color: "#d55e00", key: "1" },
  { number: 3, name: "Lymphocyte", color: "#0072b2", key: "2" },
  { number: 9, name: "Not a cell", color: "#6b6b6b", key: "X" },
];

function pageOf(preLabels: (number | null)[]): Page {
  const cells = preLabels.map((class_number, index) => ({ row: 100 + index, class_number }) as PageCell);
  return { seq: 4, place: { node_id: 7, leaf: 2, cell_count: 40 }, cells } as Page;
}

describe("touching a cell", () => {
  test("a fresh cell becomes odd and selected, a digit then gives it a class", () => {
    const touched = touch(UNDECIDED, 101);
    expect(touched).toEqual({ marks: new Map([[101, ODD]]), selected: 101 });
    expect(give(touched, 3)).toEqual({ marks: new Map([[101, 3]]), selected: null });
  });
  test("touching the next one leaves the first odd", () => {
    const both = give(touch(touch(UNDECIDED, 101), 102), 1);
    expect(both.marks).toEqual(
      new Map([
        [101, ODD],
        [102, 1],
      ]),
    );
  });
  test("touching it again takes the mark away, after letting go it is selected again first", () => {
    expect(touch(touch(UNDECIDED, 101), 101)).toEqual(UNDECIDED);
    const again = touch(release(touch(UNDECIDED, 101)), 101);
    expect(again).toEqual({ marks: new Map([[101, ODD]]), selected: 101 });
  });
  test("a digit without a selected cell marks nothing", () => {
    expect(give(UNDECIDED, 1)).toBe(UNDECIDED);
  });
});

describe("what is said", () => {
  const page = pageOf([3, 3, 1, null]);
  const marked = release(touch(UNDECIDED, 100));

  test("Enter keeps marks and pre-labels; the page's class is the commonest", () => {
    const { body } = accepted(page, UNDECIDED, 5);
    expect(body.class_number).toBe(3);
    expect(body.version).toBe(5);
    expect(body.page_seq).toBe(4);
    expect(body.cells.map((cell) => cell.class_number)).toEqual([3, 3, 1, null]);
    expect(body.cells.map((cell) => cell.shown_class_number)).toEqual([3, 3, 1, null]);
  });
  test("a digit names all but the marked ones", () => {
    const { body } = named(page, marked, 5, 1);
    expect(body.class_number).toBe(1);
    expect(body.cells.map((cell) => cell.class_number)).toEqual([ODD, 1, 1, 1]);
  });
  test("a cell marked as not sure stays so when the page is named", () => {
    const unsure = give(touch(UNDECIDED, 102), null);
    expect(named(page, unsure, 5, 1).body.cells.map((cell) => cell.class_number)).toEqual([1, 1, null, 1]);
  });
  test("N says nothing about any cell", () => {
    const { body } = deferred(page, 5);
    expect(body.class_number).toBeNull();
    expect(body.cells.every((cell) => cell.class_number === null)).toBe(true);
  });
  test("without any pre-label there is nothing to accept until a cell has a class", () => {
    const blank = pageOf([null, 255, 0]);
    expect(canAccept(blank, UNDECIDED)).toBe(false);
    expect(canAccept(blank, touch(UNDECIDED, 100))).toBe(false);
    expect(canAccept(blank, give(touch(UNDECIDED, 100), 1))).toBe(true);
  });
  test("the summary counts classes, most first, odd ones last", () => {
    expect(summary(page, marked, classes)).toBe("1 Lymphocyte, 1 Tumour, 1 odd, 1 not sure");
    expect(shortSummary(page, marked, classes)).toBe("1 Lymphocyte, 1 Tumour, 2 more");
  });
});

test("keys are the label set's own", () => {
  expect(classForKey("2", classes)?.number).toBe(3);
  expect(classForKey("x", classes)?.name).toBe("Not a cell");
  expect(classForKey("7", classes)).toBeUndefined();
});
