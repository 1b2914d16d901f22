// What the gateway says, as it says it. Numbers of classes, nodes and rows are plain numbers; identifiers are strings.

export interface Slide {
  id: string;
  name: string;
  digest: string;
  width_px: number;
  height_px: number;
  mpp: number | null;
  mpp_assumed: boolean;
  objective_power: number | null;
  vendor: string;
  size_bytes: number;
  stain: string | null;
  tissue: string | null;
  created_at: string;
  /** In the order in which to offer them: where something was said first. */
  labellings: BoardOf[];
  /** It goes as soon as its jobs have stopped. */
  deleting: boolean;
}

/** A labelling of a slide's cells, and how much was said in it. */
export interface BoardOf {
  id: string;
  clustering_id: string;
  job_id: string;
  /** Null for a cohort's. */
  segmenter: string | null;
  page_count: number;
  word_count: number;
  cell_count: number;
  slide_count: number;
  moved_from: string | null;
  created_at: string;
}

export type JobState = "queued" | "running" | "cancelling" | "succeeded" | "failed" | "cancelled";
export type Stage = "plan" | "cut" | "segment" | "embed" | "settle" | "cluster" | "tables";

export interface StageProgress {
  stage: Stage;
  done_count: number;
  total_count: number;
  seconds: number | null;
}

/** RFC 9457, with the gateway's own `reason`. */
export interface Problem {
  type?: string;
  title: string;
  status: number;
  detail?: string;
  reason?: string;
  trace_id?: string;
}

export interface Job {
  id: string;
  slide_id: string | null;
  slide_name: string | null;
  kind: "slide" | "cohort";
  state: JobState;
  verdict: null | "cells" | "no_tissue" | "no_cells";
  stage: Stage | null;
  stages: StageProgress[];
  cell_count: number | null;
  truncated_cell_count: number | null;
  tile_count: number | null;
  kept_tile_count: number | null;
  failed_tile_count: number | null;
  clustering_id: string | null;
  labelling_id: string | null;
  error: Problem | null;
  /** Who does not answer, while a job waits for them. */
  waiting_for: string | null;
  attempt: number;
  deleting: boolean;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface ClusteringSlide {
  slide_id: string;
  name: string;
  job_id: string;
  row_start: number;
  row_stop: number;
  mpp: number;
}

export interface Clustering {
  id: string;
  name: string;
  slides: ClusteringSlide[];
  cell_count: number;
  leaf_count: number;
  noise_count: number;
  cluster_count: number;
  structure_found: boolean;
}

/** A cell in a JPEG sheet: where in the sheet it lies, and its outline in the picture's own pixels. */
export interface CellPicture {
  row: number;
  slide_id: string;
  x_px: number;
  y_px: number;
  sheet: string;
  column: number;
  line: number;
  column_count: number;
  line_count: number;
  cell_px: number;
  window_um: number;
  outline: [number, number][];
}

export interface Cluster {
  node_id: number;
  cell_count: number;
  supported: boolean;
  name_class: number | null;
  sentence: string;
  representatives: CellPicture[];
}

export interface Clusters {
  clusters: Cluster[];
  node_of_leaf: number[];
  count: number;
}

export interface Klass {
  number: number;
  name: string;
  color: string;
  key: string | null;
}

export interface LabelSet {
  id: string;
  name: string;
  classes: Klass[];
}

export type Spread = "none" | "model" | "clusters";

/** How good labels of cells that nobody saw are: share of right ones, its interval, and what it rests on. */
export interface HeldOut {
  accuracy: number;
  low: number;
  high: number;
  page_count: number;
  model_macro_f1: number;
  cluster_macro_f1: number;
  constant_macro_f1: number;
  model_accuracy: number;
  cluster_accuracy: number;
  cell_count: number;
}

export interface ClusterName {
  node_id: number;
  class_number: number;
  explicit?: boolean;
}

export interface Labelling {
  id: string;
  clustering_id: string;
  label_set: LabelSet;
  seq: number;
  /** Events that the numbers rest on; below `seq` while the labeller is behind. */
  learned_seq: number;
  version: number;
  spread: Spread;
  held_out: HeldOut | null;
  cell_count: number;
  sure_count: number;
  seen_count: number;
  page_count: number;
  mark_count: number;
  class_counts: { class_number: number; cell_count: number }[];
  unlabelled_count: number;
  cluster_names: ClusterName[];
  cluster_count: number;
  marks: [number, number][];
  odd: [number, number][];
  learned_s: number | null;
  last_event: { seq: number; kind: string; sentence: string } | null;
  can_undo: boolean;
  /** What came along from an earlier labelling of the same cells. */
  moved: Moved | null;
}

export interface Moved {
  from_labelling_id: string;
  cell_count: number;
  dropped_cell_count: number;
  dropped_name_count: number;
}

export interface Place {
  node_id: number;
  leaf: number;
  cell_count: number;
}

export interface PageCell extends CellPicture {
  letter: string;
  class_number: number | null;
  confidence: number | null;
}

export interface Fact {
  name: string;
  unit: string;
  value: number;
  low: number;
  high: number;
  position: number;
  histogram: number[];
}

export interface Page {
  number: number;
  /** The last event that the page was made after. */
  seq: number;
  place: Place;
  reason: "largest_cluster" | "least_sure" | "requested";
  worth: number;
  sentence: string;
  window_um: number;
  cells: PageCell[];
  facts: Fact[];
  where: { slide_id: string; points: [number, number][]; thumbnail: string };
}

export interface Cell {
  row: number;
  cell_id: string;
  x_px: number;
  y_px: number;
  leaf: number;
  outline: [number, number][];
}

export interface Block {
  number: number;
  x_px: number;
  y_px: number;
  row_start: number;
  row_stop: number;
}

export type LabelEvent =
  | {
      kind: "page_named";
      body: {
        place: Place;
        cells: { row: number; class_number: number | null; shown_class_number: number | null }[];
        class_number: number | null;
        version: number;
        /** `seq` of the page that was seen: refused as stale where its cells were named since. */
        page_seq: number;
      };
    }
  | { kind: "cell_set"; body: { row: number; class_number: number | null } }
  | { kind: "cluster_named"; body: { node_id: number; class_number: number | null } }
  | { kind: "undone"; body: { seq: number } };

/** A word as the gateway keeps it. */
export type SaidEvent = LabelEvent & { seq: number };
