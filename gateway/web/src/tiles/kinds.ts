// What an annotator can say of a sample's cells, and what it does to a tile: set down, not computed, so that it can be
// laid once more over what the gateway tells without harm.
import { countOf } from "../format";
import { newName } from "../storage";
import type { SampleCell, SampleWord } from "../types";

export type Cells = readonly SampleCell[];

export function labelled(
  actor: string,
  tile: number,
  cells: readonly number[],
  class_number: number | null,
): SampleWord {
  return { kind: "cells_labelled", actor, event_id: newName(), body: { tile, cells: [...cells], class_number } };
}

export function flagged(actor: string, tile: number, cells: readonly number[], badly_segmented: boolean): SampleWord {
  return { kind: "cells_flagged", actor, event_id: newName(), body: { tile, cells: [...cells], badly_segmented } };
}

export function undone(actor: string, seq: number): SampleWord {
  return { kind: "undone", actor, event_id: newName(), body: { seq } };
}

/** What a word says, for a person. */
export function saidOf(word: SampleWord): string {
  if (word.kind === "undone") return "an undo";
  const cells = `${countOf(word.body.cells.length, "cell")} of tile ${word.body.tile}`;
  return word.kind === "cells_flagged" ? `how ${cells} are segmented` : cells;
}

/** A tile's cells after a word. An undo says nothing of cells: they are read anew when it has arrived. */
export function cellsAfter(cells: Cells, tile: number, word: SampleWord): Cells {
  if (word.kind === "undone" || word.body.tile !== tile) return cells;
  const about = new Set(word.body.cells);
  const change: Partial<SampleCell> =
    word.kind === "cells_labelled"
      ? { class_number: word.body.class_number }
      : { badly_segmented: word.body.badly_segmented };
  return cells.map((cell) => (about.has(cell.number) ? { ...cell, ...change } : cell));
}
