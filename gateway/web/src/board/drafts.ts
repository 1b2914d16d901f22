// Marks that were made on pages and not said yet: they outlive a reload, and are there when their cells are shown again.
import { keep, read } from "../storage";
import type { Page } from "../types";
import { type Choice, type Mark, UNDECIDED } from "./decide";

type Marks = [number, Mark][];

function isMarks(value: unknown): value is Marks {
  return Array.isArray(value) && value.every((one) => Array.isArray(one) && typeof one[0] === "number");
}

export class Drafts {
  private readonly place: string;

  constructor(labelling: string) {
    this.place = `morula.marks/${labelling}`;
  }

  private read(): Map<number, Mark> {
    return new Map(read(this.place, isMarks) ?? []);
  }

  /** The page as it was left. */
  of(page: Page): Choice {
    const marks = this.read();
    const left = page.cells.filter((cell) => marks.has(cell.row));
    return left.length === 0
      ? UNDECIDED
      : { marks: new Map(left.map((cell) => [cell.row, marks.get(cell.row) ?? null])), selected: null };
  }

  keep(page: Page, choice: Choice): void {
    const marks = this.read();
    for (const cell of page.cells) marks.delete(cell.row);
    for (const [row, mark] of choice.marks) marks.set(row, mark);
    keep(this.place, marks.size > 0 ? [...marks] : null);
  }

  forget(page: Page): void {
    this.keep(page, UNDECIDED);
  }
}
