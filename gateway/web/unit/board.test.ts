import { describe, expect, test } from "vitest";
import { newFirst } from "../src/board/clusters";
import { newestBeside } from "../src/board/earlier";
import { curve, mostTelling, rank } from "../src/board/facts";
import {
  changeSentence,
  headline,
  heldOutSentence,
  mixingSentence,
  movedSentence,
  structureSentence,
} from "../src/board/words";
import { bytes, duration, measure, shareOf } from "../src/format";
import { doneSentence } from "../src/jobs/boards";
import { sentence } from "../src/jobs/stages";
import type {
  BoardOf,
  Cluster,
  Clustering,
  Fact,
  HeldOut,
  Job,
  Labelling,
  Slide,
  StageProgress,
  StoredEvent,
} from "../src/types";

describe("facts", () => {
  const flat = Array.from({ length: 24 }, () => 5);
  const fact = (name: string, position: number) => ({ name, position, histogram: flat }) as Fact;

  test("the rank is the share of cells below the mark", () => {
    expect(rank({ histogram: flat, position: 0.25 })).toBeCloseTo(0.25);
    expect(rank({ histogram: [10, 0, 0, 0], position: 0.5 })).toBe(1);
  });
  test("the most telling four are shown, in their own order", () => {
    const facts = [0.5, 0.9, 0.1, 0.55, 0.99, 0.2].map((position, index) => fact(`f${index}`, position));
    expect(mostTelling(facts).map((one) => one.name)).toEqual(["f1", "f2", "f4", "f5"]);
  });
  test("the curve begins and ends on the ground, also where nothing was counted", () => {
    expect(curve([0, 0, 0])).toMatch(/^M0 15Q.*L100 15$/);
    expect(curve([0, 0, 0])).not.toContain("NaN");
  });
});

test("counts of a slide's card are those of the board that opens, and another run's are told apart", () => {
  const board = { job_id: "old", page_count: 9, word_count: 9, cell_count: 3600, slide_count: 1 } as BoardOf;
  const run = { id: "old", cell_count: 3600, kept_tile_count: 14, started_at: null } as Job;
  const slide = { labellings: [board] } as unknown as Slide;
  expect(doneSentence(slide, run)).toBe("9 pages named · 3,600 cells · 14 tiles of tissue");
  expect(doneSentence(slide, { ...run, id: "new", cell_count: 3607 })).toBe(
    "9 pages named · 3,600 cells on its board. Newest run: 3,607 cells · 14 tiles of tissue",
  );
});

describe("earlier pages", () => {
  const named = (seq: number, rows: number[]): StoredEvent =>
    ({ kind: "page_named", seq, body: { cells: rows.map((row) => ({ row, class_number: 1 })) } }) as StoredEvent;
  const undo = (seq: number, of: number): StoredEvent => ({ kind: "undone", seq, body: { seq: of } });

  test("come newest first, each once as it was named last, without those that are here or were undone", () => {
    const log = [named(1, [1, 2]), named(2, [3]), named(3, [2, 1]), named(4, [5]), undo(5, 4)];
    expect(newestBeside(log, [])?.seq).toBe(3);
    expect(newestBeside(log, [[1, 2]])?.seq).toBe(2);
    expect(newestBeside(log, [[1, 2], [3]])).toBeNull();
  });
});

describe("sentences", () => {
  const labelling = { spread: "none", held_out: null } as Labelling;

  const measured = {
    accuracy: 0.22,
    low: 0.01,
    high: 0.91,
    cell_count: 36,
    page_count: 3,
    model_accuracy: 0,
    cluster_accuracy: 0,
    constant_accuracy: 0.5,
    named_share: 0,
  } as HeldOut;
  const spreading = (spread: Labelling["spread"], held_out: HeldOut | null) =>
    heldOutSentence({ ...labelling, spread, held_out });

  test("before anything spreads it is said what the first keys do", () => {
    expect(heldOutSentence(labelling)).toContain("Five seen cells that mostly agree name their cluster whole");
  });
  test("an estimate is said with what was measured and what the model expects of itself", () => {
    expect(spreading("model", measured)).toBe(
      "About 22 of 100 labels of cells that nobody saw are right (1 to 91): halfway between 0, what the model was " +
        "right for on 36 cells of 3 pages held out, and 44, what it expects. " +
        "The model spreads. Calling every cell by the commonest class was right for 50 of 100, " +
        "cluster names could not be tried: no cluster keeps its name without the page held out.",
    );
    expect(spreading("model", { ...measured, cluster_accuracy: 0.71, named_share: 0.9 })).toContain(
      "was right for 50 of 100, cluster names for 71.",
    );
  });
  test("of cluster names the estimate is what was measured", () => {
    expect(spreading("clusters", { ...measured, accuracy: 0.8, cluster_accuracy: 0.4, model_accuracy: 0.3 })).toBe(
      "About 80 of 100 labels of cells that nobody saw are right (1 to 91): so many of 36 cells of 3 pages held out " +
        "that got a class by a name. Cluster names spread: of all cells held out they were right for 40 of 100, " +
        "the model for 30, calling every cell by the commonest class for 50.",
    );
  });
  test("where nothing could be held out it is said what that takes, also on a slide of one tile", () => {
    expect(spreading("model", null)).toContain("when cells of several tiles were named on pages");
    expect(spreading("clusters", { ...measured, cell_count: 0 })).not.toContain("right");
  });
  test("no structure is said aloud", () => {
    expect(structureSentence({ structure_found: false, cluster_count: 9 })).toContain("no groups");
  });
  test("how a cohort's slides mix is told with its interval where that means something, and who stands apart; of one slide nothing", () => {
    const slide = (name: string, mixing: number | null) => ({ name, mixing }) as Clustering["slides"][number];
    const slides = [slide("a", 0.94), slide("b", 0.1), slide("c", null)];
    const mixing = { score: 0.52, low: 0, high: 1.4 };
    expect(mixingSentence({ mixing, slides })).toBe(
      "Mixing of the slides: 0.52; 1 is as by chance, 0 not at all. b mixes least: 0.10.",
    );
    const more = [...slides, slide("d", 0.5), slide("e", 0.5)];
    expect(mixingSentence({ mixing, slides: more })).toContain("0.52 (0.00 to 1.40); 1 is as by chance");
    expect(mixingSentence({ mixing: null, slides })).toContain("not known");
    expect(mixingSentence({ mixing: null, slides: [slide("a", null)] })).toBe("");
  });
  test("a running job says what it does and how far it is", () => {
    const progress: StageProgress = { stage: "segment", done_count: 3, total_count: 8, seconds: 12 };
    const job = { state: "running", stage: "segment", stages: [progress] } as unknown as Job;
    expect(sentence(job, new Map([["segment", progress]]))).toBe("Outlining cells: 3 of 8 parts · 12 s of work so far");
    const waiting = { ...job, waiting_for: "The store does not answer." };
    expect(sentence(waiting, new Map())).toContain("The store does not answer.");
  });
  test("of a model's labels only those count that it is sure of, of others all", () => {
    const counted = { cell_count: 3600, sure_count: 900, unlabelled_count: 0 };
    expect(headline({ ...counted, spread: "model" })).toEqual(["25 %", "sure, of 3,600 cells"]);
    expect(headline({ ...counted, unlabelled_count: 1, spread: "clusters" })).toEqual(["99 %", "have a label"]);
  });
  test("a share is never rounded up to all, nor down to none", () => {
    expect([shareOf(3599, 3600), shareOf(3600, 3600), shareOf(1, 3600), shareOf(0, 3600), shareOf(0, 0)]).toEqual([
      "99 %",
      "100 %",
      "<1 %",
      "0 %",
      "0 %",
    ]);
  });
  test("what came along from an earlier board is told with what did not", () => {
    const moved = { from_labelling_id: "a", cell_count: 240, dropped_cell_count: 1, dropped_name_count: 2 };
    expect(movedSentence(moved)).toBe(
      "What was said about 240 cells came along from the board before; 1 cell is not here, 2 cluster names did not fit.",
    );
    expect(movedSentence({ ...moved, dropped_cell_count: 0, dropped_name_count: 0 })).not.toContain(";");
  });
  test("numbers are short", () => {
    expect([bytes(1938955), bytes(0), bytes(532)]).toEqual(["1.9 MB", "0 B", "532 B"]);
    expect([duration(4.21), duration(600)]).toEqual(["4.2 s", "10 min"]);
    expect([measure(26.23, "µm²"), measure(0.914, ""), measure(1234.5, "")]).toEqual(["26 µm²", "0.91", "1,235"]);
  });
});

test("the parts of what was split stand before the others, which keep their order", () => {
  const clusters = [7, 3, 9, 8].map((node_id) => ({ node_id }) as Cluster);
  const split = { clustering_id: "c", node_id: 4, part_ids: [8, 9] };
  expect(newFirst(clusters, { split, regrouping: null }).map((one) => one.node_id)).toEqual([9, 8, 7, 3]);
  expect(newFirst(clusters, { split: null, regrouping: null })).toEqual(clusters);
});

test("what a change made and what stayed is said", () => {
  const split = { clustering_id: "c", node_id: 4, part_ids: [8, 9] };
  expect(changeSentence({ split, regrouping: null })).toBe(
    "Cluster 4 was split into 8 and 9. All others are what they were.",
  );
  const regrouping = { clustering_id: "c", locked_ids: [3], cluster_ids: [30, 31] };
  expect(changeSentence({ split: null, regrouping })).toBe(
    "The rest was grouped anew, into 2 clusters. Cluster 3 stays, with its cells and its name.",
  );
  const many = { ...regrouping, locked_ids: Array.from({ length: 20 }, (_, place) => place + 1) };
  expect(changeSentence({ split: null, regrouping: many })).toContain("10, 11 and 9 others stay");
});
