// What an evaluation's numbers are called and say: the gateway's own words, in the order in which a report has them.
// Nothing is computed here: the page shows what the evaluator found.
import type { EvaluationDifferences, EvaluationNumbers, Problem } from "../types";

/** A number with its interval; what is null is not known. */
export interface Figure {
  value: number | null;
  low: number | null;
  high: number | null;
  n: number;
}

/** Rows are what people said, columns what a cell's cluster was taken for; what got nothing is counted beside. */
export interface Confusion {
  labels: string[];
  matrix: number[][];
  none?: number[];
  "?"?: number[];
}

export type Measures = Record<MeasureName, Figure>;
export type CurvePoint = { clicks: number; accuracy: Figure; macro_f1: Figure };
export type Measured = Measures & { cluster_count: number; curve: CurvePoint[] };

interface Scores {
  accuracy: Figure;
  macro_f1: Figure;
}

export interface PartScores extends Scores {
  name: string;
  baselines: { constant: Scores };
}

export interface ClassScores {
  class: string;
  recall: Figure;
  precision: Figure;
  f1: Figure;
  baselines: { constant: { recall: Figure } };
}

interface NoiseScores extends Scores {
  ami: Figure;
}

export interface Honest extends Measured {
  interval: { over: "slides" | "within this slide" | "none"; group_count: number; draw_count: number; level: number };
  fold_count: number;
  ceiling: Scores & { of: string };
  classes: ClassScores[];
  confusion: Confusion;
  baselines: Partial<Record<BaselineName, Measured>>;
  noise: {
    cell_count: number;
    share: number;
    as_error: NoiseScores;
    own_cluster: NoiseScores;
    left_out: NoiseScores | null;
  };
  coverage?: { coverage: Figure; accuracy: Figure }[];
  calibration?: { error: Figure; bins: { confidence: number; accuracy: Figure }[] };
  rare_classes: string[];
  slides?: PartScores[];
  batches?: PartScores[];
  tissues?: PartScores[];
  species?: PartScores[];
}

export interface PublishedPart {
  name?: string;
  batch?: string;
  n_cells: number;
  n_tiles: number;
  accuracy: number;
  constant: number;
}

export interface PublishedTile {
  slide: string;
  tile: string;
  batch?: string;
  n_cells: number;
  accuracy: number;
  constant: number;
  confusion_matrix?: Confusion;
  /** Only in `evaluation.json`, and not where there are very many. */
  cells?: { row: number[]; human: number[]; aligned: number[] };
}

export interface Published {
  accuracy: number;
  constant: number;
  n_cells: number;
  n_tiles: number;
  caveat: string;
  tiles: PublishedTile[];
  batches: PublishedPart[];
  tissues?: PublishedPart[];
  species?: PublishedPart[];
  confusion: Confusion;
}

export interface Matching {
  by: string;
  truth_count: number;
  matched_count: number;
  missing: Counted;
  foreign: Counted;
  doubled: Counted;
}

export interface Counted {
  count: number;
  first: string[];
}

/** Of labels: what they are worth by the names of their classes. */
export interface ByName extends Scores {
  rare_recall: Figure;
  unlabelled_count: number;
  baselines: { constant: Scores };
}

export interface Agreement {
  several_count: number;
  cohen: { annotators: string[]; kappa: Figure }[];
  fleiss: Figure | null;
  krippendorff: Figure | null;
}

/** An evaluation that has succeeded. */
export type Found = EvaluationNumbers & {
  match_rate: number;
  remarks: string[];
  honest: Honest;
  paper: Published;
  match: Matching;
  named?: ByName | null;
  agreement?: Agreement | null;
};

export function isFound(one: EvaluationNumbers): one is Found {
  return one.state === "succeeded" && one.honest != null && one.paper != null;
}

export const MEASURES = {
  macro_f1: ["macro-F1", "clusters named on one part and scored on the rest; every class counts as much as another"],
  accuracy: ["accuracy", "the share of cells that get the right class, named and scored so"],
  rare_recall: ["rare classes found", "mean recall of classes below 5 % of the cells, else of the rarest"],
  area_macro_f1: ["macro-F1, mean over clicks", "a click names a cluster, the largest first"],
  area_accuracy: ["accuracy, mean over clicks", "the same of accuracy"],
  macro_f1_of_the_way: ["macro-F1, of the way", "share of the way from the constant to the ceiling"],
  accuracy_of_the_way: ["accuracy, of the way", "the same of accuracy"],
  area_macro_f1_of_the_way: ["mean macro-F1, of the way", "the same of the mean over clicks"],
  area_accuracy_of_the_way: ["mean accuracy, of the way", "the same of accuracy"],
  many_to_one: [
    "many to one, by slide",
    "each cluster named by its own cells in each slide: too kind to many clusters",
  ],
  slide_hungarian: ["one to one, by slide", "each class gets one cluster in each slide: too hard on many clusters"],
  purity: ["purity", "each cluster named by its own cells: rises with the number of clusters"],
  ami: ["AMI", "what clusters tell of classes beyond chance"],
  ari: ["ARI", "pairs of cells that lie together in both, beyond chance"],
  homogeneity: ["homogeneity", "whether clusters hold one class each: singles have 1"],
  completeness: ["completeness", "whether classes lie in one cluster each: a constant has 1"],
  v_measure: ["V", "harmonic mean of the two"],
} as const satisfies Record<string, readonly [string, string]>;

export type MeasureName = keyof typeof MEASURES;
export const MEASURE_NAMES = Object.keys(MEASURES) as MeasureName[];
/** What is shown at once; the others are a click away. */
export const FIRST_MEASURES = 6;

/** An evaluation minus another. */
export type Differences = EvaluationDifferences & { difference: Partial<Record<MeasureName, Figure>> };

export function isProblem(one: Differences | Problem): one is Problem {
  return "status" in one;
}

/** What a difference says, as the report has it; nothing where it has no interval. */
export function verdict(figure: Figure | undefined): string {
  if (!figure || figure.low === null || figure.high === null) return "";
  if (figure.low > 0) return "better";
  return figure.high < 0 ? "worse" : "not told apart";
}

export const BASELINES = {
  constant: "one cluster for all",
  random: "as many clusters at random",
  singles: "as many single cells labelled",
  morphology: "as many clusters of measures alone",
} as const;

export type BaselineName = keyof typeof BASELINES;

export function baselinesOf(honest: Honest): [BaselineName, Measured][] {
  return (Object.keys(BASELINES) as BaselineName[]).flatMap((name) => {
    const of = honest.baselines[name];
    return of ? [[name, of]] : [];
  });
}

/** Three decimals; what is not known is said so. */
export function shown(value: number | null | undefined): string {
  return value == null ? "not known" : value.toFixed(3);
}

export function interval({ low, high }: Figure): string {
  return low === null || high === null ? "no interval" : `${low.toFixed(3)} to ${high.toFixed(3)}`;
}

/** What intervals are over, in words. */
export function intervalWords({ interval: of }: Honest): string {
  if (of.over === "none") return "There are no intervals: neither several slides nor several tiles are known.";
  const level = `${Math.round(100 * of.level)} %`;
  if (of.over === "slides") return `Intervals of ${level}, over ${of.group_count} slides.`;
  return `Intervals of ${level} within this slide, over ${of.group_count} tiles: they say nothing of other slides.`;
}
