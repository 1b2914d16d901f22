// The label of a cell, from everything that was said: mark, else what spreads, else none.
// The gateway applies the same order; both are held to tests/fixtures/effective_labels.json.
import type { ClusterName, Spread } from "./types";

export const NO_CLASS = 0;
export const NOT_SURE = 255;
export const NOISE_LEAF = 65535;

export type Source = "mark" | "model" | "cluster" | "none";

/** Everything that decides a label; layers start at `row_start`. */
export interface LabelInputs {
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

export function effectiveLabel(row: number, inputs: LabelInputs): [number, Source] {
  const mark = inputs.marks.get(row);
  if (mark) return [mark, "mark"];
  const [number, source] = spreadLabel(row, inputs);
  return number !== NO_CLASS && inputs.odd.get(row) === number ? [NO_CLASS, "mark"] : [number, source];
}

function spreadLabel(row: number, inputs: LabelInputs): [number, Source] {
  const index = row - inputs.row_start;
  if (inputs.spread === "model") {
    const number = inputs.class_layer[index] ?? NO_CLASS;
    return [number, number === NO_CLASS ? "none" : "model"];
  }
  if (inputs.spread === "clusters") {
    const number = nameOfLeaf(inputs.leaf[index], inputs);
    return [number, number === NO_CLASS ? "none" : "cluster"];
  }
  return [NO_CLASS, "none"];
}

function nameOfLeaf(leaf: number | undefined, inputs: LabelInputs): number {
  if (leaf === undefined || leaf === NOISE_LEAF) return NO_CLASS;
  return inputs.class_of_node.get(inputs.node_of_leaf[leaf] ?? 0) ?? NO_CLASS;
}

/** Effective class of every row of [row_start, row_stop), one byte each. */
export function effectiveClasses(row_stop: number, inputs: LabelInputs): Uint8Array {
  const classes = new Uint8Array(row_stop - inputs.row_start);
  for (let index = 0; index < classes.length; index += 1) {
    classes[index] = effectiveLabel(inputs.row_start + index, inputs)[0];
  }
  return classes;
}
