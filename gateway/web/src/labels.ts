// The label of a cell, from everything that was said: mark, else what spreads, else none.
// The gateway applies the same order; both are held to tests/fixtures/effective_labels.json.
import type { ClusterName, Spread } from "./types";

export const NO_CLASS = 0;
export const NOT_SURE = 255;
export const NOISE_LEAF = 65535;

export type Source = "mark" | "model" | "cluster" | "none";

/** Everything that decides a label; layers start at `row_start`. */
export interface Said {
  spread: Spread;
  marks: ReadonlyMap<number, number>;
  /** The class that an odd cell is not of: its page's. */
  odd: ReadonlyMap<number, number>;
  class_layer: ArrayLike<number>;
  leaf: ArrayLike<number>;
  node_of_leaf: ArrayLike<number>;
  class_of_node: ReadonlyMap<number, number>;
  row_start: number;
}

export function classOfNode(names: readonly ClusterName[]): Map<number, number> {
  return new Map(names.map((name) => [name.node_id, name.class_number]));
}

export function effectiveLabel(row: number, said: Said): [number, Source] {
  const mark = said.marks.get(row);
  if (mark) return [mark, "mark"];
  const [number, source] = spreadLabel(row, said);
  return number !== NO_CLASS && said.odd.get(row) === number ? [NO_CLASS, "mark"] : [number, source];
}

function spreadLabel(row: number, said: Said): [number, Source] {
  const index = row - said.row_start;
  if (said.spread === "model") {
    const number = said.class_layer[index] ?? NO_CLASS;
    return [number, number === NO_CLASS ? "none" : "model"];
  }
  if (said.spread === "clusters") {
    const number = nameOfLeaf(said.leaf[index], said);
    return [number, number === NO_CLASS ? "none" : "cluster"];
  }
  return [NO_CLASS, "none"];
}

function nameOfLeaf(leaf: number | undefined, said: Said): number {
  if (leaf === undefined || leaf === NOISE_LEAF) return NO_CLASS;
  return said.class_of_node.get(said.node_of_leaf[leaf] ?? 0) ?? NO_CLASS;
}

/** Effective class of every row of [row_start, row_stop), one byte each. */
export function effectiveClasses(row_stop: number, said: Said): Uint8Array {
  const classes = new Uint8Array(row_stop - said.row_start);
  for (let index = 0; index < classes.length; index += 1) {
    classes[index] = effectiveLabel(said.row_start + index, said)[0];
  }
  return classes;
}
