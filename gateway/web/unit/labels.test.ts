import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { classOfNode, effectiveClasses, effectiveLabel, type LabelInputs, type Source } from "../src/labels";
import type { ClusterName, Spread } from "../src/types";

interface Case {
  name: string;
  spread: Spread;
  marks: [number, number][];
  odd: [number, number][];
  class_layer: number[];
  leaf: number[];
  node_of_leaf: number[];
  cluster_names: ClusterName[];
  expected: [number, Source][];
}

const shared = new URL("../../../tests/fixtures/effective_labels.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(shared, "utf8")) as { cases: Case[] };

function inputsOf(one: Case, row_start: number): LabelInputs {
  return {
    spread: one.spread,
    marks: new Map(one.marks.map(([row, number]) => [row + row_start, number])),
    odd: new Map(one.odd.map(([row, number]) => [row + row_start, number])),
    class_layer: one.class_layer,
    leaf: one.leaf,
    node_of_leaf: one.node_of_leaf,
    class_of_node: classOfNode(one.cluster_names),
    row_start,
  };
}

describe("effective labels, the cases shared with the gateway", () => {
  for (const one of cases) {
    test(one.name, () => {
      const labels = one.expected.map((_, row) => effectiveLabel(row, inputsOf(one, 0)));
      expect(labels).toEqual(one.expected);
    });
    test(`${one.name}, on a cohort's second slide`, () => {
      const classes = effectiveClasses(1000 + one.expected.length, inputsOf(one, 1000));
      expect([...classes]).toEqual(one.expected.map(([number]) => number));
    });
  }
});
