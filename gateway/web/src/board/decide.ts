// What a person decides on one page, before it is said: pure, so that every key can be tested without a browser.
import { NO_CLASS, NOT_SURE } from "../labels";
import type { Klass, LabelEvent, Page, PageCell } from "../types";

/** Class of a marked cell: a class's number, 0 where it is odd, null where the person is not sure. */
export type Mark = number | null;

export interface Choice {
  marks: ReadonlyMap<number, Mark>;
  selected: number | null;
  /** What was said of the page before; it stands where nothing else is decided. */
  earlier?: ReadonlyMap<number, Mark>;
}

export const ODD = 0;
export const UNDECIDED: Choice = { marks: new Map(), selected: null };

/** A letter or a click: a fresh cell becomes odd and selected, a marked one is selected, a selected one is let go. */
export function touch(choice: Choice, row: number): Choice {
  if (choice.selected === row) return { ...choice, marks: without(choice.marks, row), selected: null };
  if (choice.marks.has(row)) return { ...choice, selected: row };
  return { ...choice, marks: new Map(choice.marks).set(row, ODD), selected: row };
}

/** A digit, X or N while a cell is selected. */
export function give(choice: Choice, mark: Mark): Choice {
  if (choice.selected === null) return choice;
  return { ...choice, marks: new Map(choice.marks).set(choice.selected, mark), selected: null };
}

export function release(choice: Choice): Choice {
  return { ...choice, selected: null };
}

function without(marks: ReadonlyMap<number, Mark>, row: number): Map<number, Mark> {
  const left = new Map(marks);
  left.delete(row);
  return left;
}

/** What the model thinks of a cell; null where it thinks nothing or is not sure. */
export function preLabel(cell: PageCell): number | null {
  const number = cell.class_number;
  return number === null || number === NO_CLASS || number === NOT_SURE ? null : number;
}

/** Class that a cell would get if the page were accepted as it stands. */
export function standing(cell: PageCell, choice: Choice): Mark {
  const mark = choice.marks.has(cell.row) ? choice.marks.get(cell.row) : choice.earlier?.get(cell.row);
  return mark === undefined ? preLabel(cell) : mark;
}

export function commonest(numbers: readonly Mark[]): number | null {
  const counts = new Map<number, number>();
  for (const number of numbers) if (number) counts.set(number, (counts.get(number) ?? 0) + 1);
  let best: number | null = null;
  for (const [number, count] of counts) if (best === null || count > (counts.get(best) ?? 0)) best = number;
  return best;
}

export function canAccept(page: Page, choice: Choice): boolean {
  return page.cells.some((cell) => Boolean(standing(cell, choice)));
}

export type PageNamed = Extract<LabelEvent, { kind: "page_named" }>;

export function marksIn({ body }: PageNamed): Map<number, Mark> {
  return new Map(body.cells.map((cell) => [cell.row, cell.class_number]));
}

function pageNamed(page: Page, version: number, class_number: number | null, of: (cell: PageCell) => Mark): PageNamed {
  const cells = page.cells.map((cell) => ({
    row: cell.row,
    class_number: of(cell),
    shown_class_number: preLabel(cell),
  }));
  return { kind: "page_named", body: { place: page.place, cells, class_number, version, page_seq: page.seq } };
}

/** Enter: every cell keeps its mark, else its pre-label. */
export function accepted(page: Page, choice: Choice, version: number): PageNamed {
  const class_number = commonest(page.cells.map((cell) => standing(cell, choice)));
  return pageNamed(page, version, class_number, (cell) => standing(cell, choice));
}

/** A digit or X: every cell that bears no mark takes the class. */
export function named(page: Page, choice: Choice, version: number, class_number: number): PageNamed {
  return pageNamed(page, version, class_number, (cell) => {
    const mark = choice.marks.get(cell.row);
    return mark === undefined ? class_number : mark;
  });
}

/** N: the page was seen, nothing was said about it. */
export function deferred(page: Page, version: number): PageNamed {
  return pageNamed(page, version, null, () => null);
}

/** "10 Lymphocyte, 2 Tumour, 1 odd", most first. */
export function summary(page: Page, choice: Choice, classes: readonly Klass[]): string {
  const counts = new Map<string, number>();
  for (const cell of page.cells) {
    const word = wordFor(standing(cell, choice), classes);
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const rank = (word: string) => (word === "odd" || word === "not sure" ? -1 : (counts.get(word) ?? 0));
  const words = [...counts.keys()].sort((a, b) => rank(b) - rank(a));
  return words.map((word) => `${counts.get(word)} ${word}`).join(", ");
}

/** The same, short enough for a button: two words and how many more. */
export function shortSummary(page: Page, choice: Choice, classes: readonly Klass[]): string {
  const parts = summary(page, choice, classes).split(", ");
  if (parts.length <= 2) return parts.join(", ");
  const more = parts.slice(2).reduce((sum, part) => sum + Number.parseInt(part, 10), 0);
  return `${parts.slice(0, 2).join(", ")}, ${more} more`;
}

export function wordFor(mark: Mark, classes: readonly Klass[]): string {
  if (mark === ODD) return "odd";
  return classes.find((klass) => klass.number === mark)?.name ?? "not sure";
}

/** The class that a key names: its own key, as the label set says. */
export function classForKey(key: string, classes: readonly Klass[]): Klass | undefined {
  return classes.find((klass) => klass.key?.toLowerCase() === key);
}
