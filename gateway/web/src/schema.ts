// Written by scripts/openapi from docs/openapi.json. Not by hand.

/** Which finished job's slide to add to a clustering, and whose labels go on. */
export interface AdditionRequest {
  job_id: string;
  labelling_id?: string | null;
}

/** Somebody who labelled cells of the sample. */
export interface Annotator {
  flagged_count: number;
  labelled_count: number;
  name: string;
}

/** The labelling after an event: it may hold what others said meanwhile, too. */
export interface AppendedState {
  can_undo: boolean;
  cell_count: number;
  class_counts: ClassCount[];
  cluster_count: number;
  cluster_names: NamedCluster[];
  clustering_id: string;
  event_seq: number;
  held_out: HeldOut | null;
  id: string;
  label_set: LabelSet;
  last_event: LastEvent | null;
  learned_s: number | null;
  learned_seq: number;
  locked_node_ids: number[];
  mark_count: number;
  marks: [number, number][];
  moved: MovedLabels | null;
  odd: [number, number][];
  page_count: number;
  seen_count: number;
  seq: number;
  spread: "none" | "model" | "clusters";
  sure_count: number;
  unlabelled_count: number;
  version: number;
}

/** A cell of a batch's file. */
export interface BatchCell {
  cell_id: number;
  polygon: [number, number][];
  uuid?: string | null;
}

/** `cell_labels.json` as the published system or this program writes it; what was found of cells is passed over. */
export interface BatchFile {
  format?: 1;
  tiles: BatchTile[];
}

/** A tile of a batch's file. */
export interface BatchTile {
  cells: BatchCell[];
  magnification: number;
  slide_id: string;
  tile_name: string;
  x: number;
  y: number;
}

/** A square of the slide, its corner in level-0 px, whose cells are a range of rows. */
export interface Block {
  number: number;
  row_start: number;
  row_stop: number;
  x_px: number;
  y_px: number;
}

export interface Blocks {
  block_px: number;
  blocks: Block[];
}

/** A labelling of a slide's cells, and how much was said in it. */
export interface Board {
  cell_count: number;
  clustering_id: string;
  created_at: string;
  id: string;
  job_id: string;
  moved_from: string | null;
  page_count: number;
  segmenter: string | null;
  slide_count: number;
  word_count: number;
}

/** A cell with its centroid and outline in level-0 px. */
export interface Cell {
  cell_id: string;
  leaf: number;
  outline: [number, number][];
  row: number;
  x_px: number;
  y_px: number;
}

export interface CellBody {
  class_number: number | null;
  row: number;
}

/** A cell's centroid in level-0 px, where its picture lies on a sheet, and its outline in px of the picture. */
export interface CellPicture {
  cell_px: number;
  column: number;
  column_count: number;
  line: number;
  line_count: number;
  outline: [number, number][];
  row: number;
  sheet: string;
  slide_id: string;
  window_um: number;
  x_px: number;
  y_px: number;
}

/** One cell gets a class by itself, whatever else was said of it. */
export interface CellSet {
  actor?: string;
  body: CellBody;
  expected_seq?: number | null;
  kind: "cell_set";
}

export interface Cells {
  cells: Cell[];
  total_count: number;
  truncated: boolean;
}

/** Cells of a tile are badly segmented, or are not after all. */
export interface CellsFlagged {
  actor?: string;
  body: CellsFlaggedBody;
  event_id?: string | null;
  expected_seq?: number | null;
  kind: "cells_flagged";
}

export interface CellsFlaggedBody {
  badly_segmented: boolean;
  cells: number[];
  tile: number;
}

/** Cells of a tile get a class, whatever was said of them before. */
export interface CellsLabelled {
  actor?: string;
  body: CellsLabelledBody;
  event_id?: string | null;
  expected_seq?: number | null;
  kind: "cells_labelled";
}

export interface CellsLabelledBody {
  cells: number[];
  class_number: number | null;
  tile: number;
}

export interface ClassChange {
  color?: string | null;
  name?: string | null;
}

export interface ClassCount {
  cell_count: number;
  class_number: number;
}

/** A cluster of a cut. */
export interface Cluster {
  borderline: NearPicture[];
  cell_count: number;
  node_id: number;
  outlying: CellPicture[];
  representatives: CellPicture[];
  sentence: string;
  supported: boolean;
}

export interface ClusterBody {
  class_number: number | null;
  node_id: number;
}

/** A whole cluster gets a name. */
export interface ClusterNamed {
  actor?: string;
  body: ClusterBody;
  expected_seq?: number | null;
  kind: "cluster_named";
}

/** A clustering. */
export interface Clustering {
  cell_count: number;
  cluster_count: number;
  created_at: string;
  feature_names: string[];
  id: string;
  leaf_count: number;
  mixing: Mixing | null;
  name: string;
  noise_count: number;
  regrouping: Regrouping | null;
  slides: ClusteringSlide[];
  split: Split | null;
  structure_found: boolean;
}

/** A slide of a clustering and the rows of its cells. */
export interface ClusteringSlide {
  job_id: string;
  mixing: number | null;
  mpp: number;
  name: string;
  row_start: number;
  row_stop: number;
  slide_id: string;
}

export interface Clusterings {
  clusterings: Clustering[];
  next_cursor: string | null;
}

export interface Clusters {
  clusters: Cluster[];
  count: number;
  node_of_leaf: number[];
  noise: Noise | null;
}

/** Which finished jobs to cluster together. */
export interface CohortRequest {
  job_ids: string[];
  name?: string | null;
}

/** Node of each leaf, and the class that each node's name gives it. */
export interface Cut {
  cluster_count: number;
  names: Record<string, number>[];
  node_of_leaf: number[];
}

export interface CutRequest {
  cluster_count: number;
}

/** An evaluation. Its job has the same id; cancel, retry and delete it there. */
export interface Evaluation {
  attempt: number;
  choices: Record<string, unknown>;
  cluster_count: number;
  clustering_id: string;
  created_at: string;
  deleting: boolean;
  error: Record<string, unknown> | null;
  finished_at: string | null;
  id: string;
  labelling_id: string | null;
  labelling_seq: number | null;
  started_at: string | null;
  state: "queued" | "running" | "cancelling" | "succeeded" | "failed" | "cancelled";
  truth_id: string;
  waiting_for: string | null;
}

/** An evaluation minus another against the same truth, over the cells that both have, as `comparison` of `evaluation.json` of `morula evaluate --against` has it. */
export interface EvaluationDifferences {
  against_id: string;
  cell_count: number;
  cluster_counts: number[];
  difference: Record<string, unknown>;
  evaluation_id: string;
  left_out_count: number;
  of_both: Record<string, unknown>[];
  paper: number[];
  truth_id: string;
}

/** An evaluation with its numbers, as `evaluation.json` has them; null until it has succeeded. */
export interface EvaluationNumbers {
  agreement?: Record<string, unknown> | null;
  attempt: number;
  choices: Record<string, unknown>;
  cluster_count: number;
  clustering_id: string;
  created_at: string;
  deleting: boolean;
  error: Record<string, unknown> | null;
  finished_at: string | null;
  honest?: Record<string, unknown> | null;
  id: string;
  labelling_id: string | null;
  labelling_seq: number | null;
  match?: Record<string, unknown> | null;
  match_rate?: number | null;
  named?: Record<string, unknown> | null;
  of?: Record<string, unknown> | null;
  paper?: Record<string, unknown> | null;
  remarks?: string[] | null;
  started_at: string | null;
  state: "queued" | "running" | "cancelling" | "succeeded" | "failed" | "cancelled";
  truth_id: string;
  waiting_for: string | null;
}

/** What to measure: the clusters of a clustering, or the labels of a labelling as they are now. */
export interface EvaluationRequest {
  click_count?: number | null;
  cluster_count?: number;
  clustering_id?: string | null;
  draw_count?: number | null;
  fold_count?: number | null;
  labelling_id?: string | null;
  reach_um?: number | null;
  seed?: number | null;
  truth_id: string;
}

export interface Evaluations {
  evaluations: Evaluation[];
  next_cursor: string | null;
}

export interface Event {
  actor: string;
  body: Record<string, unknown>;
  kind: string;
  seq: number;
  time: string;
}

export interface Events {
  events: Event[];
  next_cursor: string | null;
}

/** One measure of a page's cells, in units people read, and where it lies among all cells of the slide. */
export interface Fact {
  high: number;
  histogram: number[];
  low: number;
  name: string;
  position: number;
  unit: string;
  value: number;
}

/** What a number of such a file means. */
export interface FileClass {
  name: string;
  number: number;
}

/** A label of a file of the published system. */
export interface FileLabel {
  cell_id: number;
  human_label: number;
  uuid?: string | null;
}

/** A tile of such a file. */
export interface FileTile {
  badly_segmented?: number[];
  labelled_cells: FileLabel[];
  slide_id: string;
  tile_name: string;
}

/** How good the labels of cells that nobody saw are, from `cell_count` cells on `page_count` pages held out. Among the cells to which what spreads gives a class, `accuracy` estimates the share of right ones, with its 95 % interval. Of cluster names it is what was measured; of a model it lies halfway between `model_accuracy`, which was, and the model's mean confidence in the cells that nobody saw. Model and cluster names are compared by their own accuracies, where no class counts as wrong. */
export interface HeldOut {
  accuracy: number;
  cell_count: number;
  cluster_accuracy: number;
  cluster_macro_f1: number;
  constant_accuracy: number;
  constant_macro_f1: number;
  high: number;
  low: number;
  model_accuracy: number;
  model_macro_f1: number;
  named_share: number;
  page_count: number;
}

/** `human_labels_*.json` as the published system or this API writes it; other fields are passed over. */
export interface HumanLabels {
  batch?: string;
  classes?: FileClass[];
  format?: 1;
  tiles: FileTile[];
}

/** A job. */
export interface Job {
  attempt: number;
  cell_count: number | null;
  clustering_id: string | null;
  created_at: string;
  deleting: boolean;
  error: Record<string, unknown> | null;
  failed_tile_count: number;
  finished_at: string | null;
  id: string;
  kept_tile_count: number;
  kind: "slide" | "cohort" | "split" | "regrouping" | "addition" | "evaluation";
  labelling_id: string | null;
  params: Record<string, unknown>;
  result_digest: string | null;
  slide_id: string | null;
  slide_name: string | null;
  stage: "plan" | "cut" | "segment" | "embed" | "settle" | "cluster" | "tables" | "evaluate" | null;
  stages: StageProgress[];
  started_at: string | null;
  state: "queued" | "running" | "cancelling" | "succeeded" | "failed" | "cancelled";
  tile_count: number | null;
  truncated_cell_count: number | null;
  unembedded_cell_count: number | null;
  verdict: "cells" | "no_tissue" | "no_cells" | null;
  waiting_for: string | null;
}

/** A file that a job left. */
export interface JobFile {
  name: string;
  sha256: string;
  size_bytes: number;
}

export interface JobFiles {
  files: JobFile[];
}

/** Which slide to work on, and how; what is left open comes from the preset. */
export interface JobRequest {
  augment?: boolean | null;
  cellprob_threshold?: number | null;
  channels?: ("red" | "green" | "blue" | "gray" | "fluorescence" | "haematoxylin" | "inverted_red" | "inverted_green" | "inverted_blue" | "inverted_gray" | "inverted_fluorescence" | "inverted_haematoxylin" | "none")[] | null;
  diameter_um?: number | null;
  embedder?: string | null;
  eps?: number | null;
  exclude?: Record<string, unknown> | null;
  flow_threshold?: number | null;
  include?: Record<string, unknown> | null;
  keep_rejected?: boolean | null;
  layout?: "umap" | null;
  max_size_fraction?: number | null;
  min_area_um2?: number | null;
  mpp?: number | null;
  niter?: number | null;
  normalize?: "slide" | "image" | "none" | null;
  origin_x_px?: number;
  origin_y_px?: number;
  preset?: string;
  sample_tile_count?: number;
  segmenter?: string | null;
  slide_id: string;
  slide_mpp?: number | null;
  stain?: "H&E" | "IHC" | "fluorescence" | "other" | null;
}

export interface Jobs {
  jobs: Job[];
  next_cursor: string | null;
}

/** A key, without its text. */
export interface Key {
  created_at: string;
  expires_at: string | null;
  id: string;
  last_used_at: string | null;
  name: string;
  prefix: string;
  revoked_at: string | null;
  scopes: ("read" | "label" | "run" | "admin")[];
}

export interface Keys {
  keys: Key[];
  next_cursor: string | null;
}

export interface LabelClass {
  color: string;
  key: string | null;
  name: string;
  number: number;
}

export interface LabelSet {
  classes: LabelClass[];
  id: string;
  name: string;
}

export interface LabelSets {
  label_sets: LabelSet[];
  next_cursor: string | null;
}

export interface Labellings {
  labellings: State[];
  next_cursor: string | null;
}

export interface LastEvent {
  kind: string;
  sentence: string;
  seq: number;
}

/** A key with its text, which is told only now. */
export interface MadeKey {
  created_at: string;
  expires_at: string | null;
  id: string;
  key: string;
  last_used_at: string | null;
  name: string;
  prefix: string;
  revoked_at: string | null;
  scopes: ("read" | "label" | "run" | "admin")[];
}

/** Of the cells most like one, how many are of other slides: 1 is as by chance, 0 is none. With the interval of 95 % over slides. */
export interface Mixing {
  high: number;
  low: number;
  score: number;
}

/** A model that finds cells (segmenter) or describes them (embedder). */
export interface Model {
  channels: string[];
  commercial: "yes" | "no" | "unclear";
  defaults: Record<string, number | boolean | string | string[] | null>;
  dtypes: string[];
  is_default: boolean;
  licence: string;
  measures_objects: boolean;
  mpp: number;
  name: string;
  object_kind: string;
  object_um: number;
  refusal: string | null;
  revision: string;
  speed: ModelSpeed | null;
  stains: ("H&E" | "IHC" | "fluorescence" | "other" | null)[];
  task: "segmenter" | "embedder";
  trained_on: string;
  variant_of: string | null;
}

/** Mean of a model's recent shards here, whatever else the machine did and was asked. */
export interface ModelSpeed {
  seconds_per_megapixel: number;
  seconds_per_mm2: number;
  shard_count: number;
}

export interface Models {
  models: Model[];
}

/** What came along from an earlier labelling of the same cells, and what did not. */
export interface MovedLabels {
  cell_count: number;
  dropped_cell_count: number;
  dropped_name_count: number;
  from_labelling_id: string;
}

export interface NamedCluster {
  class_number: number;
  explicit: boolean;
  node_id: number;
}

/** A cell, and the cluster that is nearest to it beside its own; null where there is none. */
export interface NearPicture {
  cell_px: number;
  column: number;
  column_count: number;
  line: number;
  line_count: number;
  near_node_id: number | null;
  outline: [number, number][];
  row: number;
  sheet: string;
  slide_id: string;
  window_um: number;
  x_px: number;
  y_px: number;
}

export interface NewClass {
  color?: string | null;
  name: string;
}

/** Something that a person says. */
export type NewEvent = PageNamed | CellSet | ClusterNamed | Undone;

/** A key that is wanted. */
export interface NewKey {
  expires_days?: number | null;
  name: string;
  scopes: ("read" | "label" | "run" | "admin")[];
}

export interface NewLabelSet {
  classes?: NewClass[];
  name: string;
}

/** An empty labelling by a label set, or one that begins with what was said in another one about the same cells. */
export interface NewLabelling {
  clustering_id: string;
  from_labelling_id?: string | null;
  label_set_id?: string | null;
}

/** Of which finished jobs, or of which clusterings' cells, to sample tiles, and how many. */
export interface NewSample {
  batch_count?: number;
  batches?: BatchFile[];
  cells_per_batch?: number;
  clustering_ids?: string[];
  job_ids?: string[];
  label_set_id?: string | null;
  name?: string | null;
  seed?: number;
}

/** Something that an annotator says. */
export type NewSampleEvent = CellsLabelled | CellsFlagged | SampleUndone;

/** What a program thinks that a cluster is; null where its votes agree too little. */
export interface NewSuggestion {
  class_number: number | null;
  origin: Origin;
  votes: Vote[];
}

/** The cells in no cluster. */
export interface Noise {
  cell_count: number;
  representatives: NearPicture[];
  sentence: string;
}

/** A tile with its cells. */
export interface OpenTile {
  annotator: string;
  batch: number;
  cell_count: number;
  cells: SampleCell[];
  flagged_count: number;
  height_px: number;
  labelled_count: number;
  number: number;
  picture: TilePicture;
  seq: number;
  slide_id: string;
  slide_name: string;
  width_px: number;
  x_px: number;
  y_px: number;
}

/** What made a suggestion, so that it can be judged and asked for again. */
export interface Origin {
  answered_by?: string | null;
  call_count: number;
  endpoint: string;
  model: string;
  morula: string;
  prompt_sha256: string;
  rows: number[];
  tissue?: string;
  token_count: number;
}

export interface Page {
  cells: PageCell[];
  cluster_count: number;
  facts: Fact[];
  number: number;
  place: Place;
  reason: "largest_cluster" | "least_sure" | "requested";
  sentence: string;
  seq: number;
  where: Where;
  window_um: number;
  worth: number;
}

export interface PageBody {
  cells: SeenCellBody[];
  class_number: number | null;
  page_seq: number;
  place: PlaceBody;
  version?: number;
}

export interface PageCell {
  cell_px: number;
  class_number: number | null;
  column: number;
  column_count: number;
  confidence: number | null;
  letter: string;
  line: number;
  line_count: number;
  near_node_id: number | null;
  outline: [number, number][];
  row: number;
  sheet: string;
  slide_id: string;
  window_um: number;
  x_px: number;
  y_px: number;
}

/** A page of cells gets a name, its odd cells are marked. */
export interface PageNamed {
  actor?: string;
  body: PageBody;
  expected_seq?: number | null;
  kind: "page_named";
}

export interface Place {
  cell_count: number;
  leaf: number;
  node_id: number;
}

export interface PlaceBody {
  cell_count?: number;
  leaf: number;
  node_id: number;
}

/** RFC 9457. What an error knows beyond these fields stands beside them. */
export interface Problem {
  detail: string;
  errors?: {
    detail: string;
    pointer: string;
  }[];
  reason: string;
  status: number;
  title: string;
  /** The log has it, too. */
  trace_id: string;
  type: string;
}

/** Whether everything behind the gateway answers. */
export interface Readiness {
  database: "ready" | "away";
  services: Record<string, boolean>;
  state: "ready" | "not ready";
  writable: Record<string, boolean>;
}

/** The rest was grouped anew: the clustering that it was of, which may have been deleted since, the clusters that stayed, and those that the rest falls into in the cut that is proposed, the largest first. */
export interface Regrouping {
  cluster_ids: number[];
  clustering_id: string;
  locked_ids: number[];
}

/** Whose named clusters stay while all other cells are grouped anew, and into how many clusters at most. */
export interface RegroupingRequest {
  cluster_count?: number;
  labelling_id: string;
}

/** Tiles that were sampled for people to label, in batches. */
export interface Sample {
  annotator: string;
  annotators: Annotator[];
  batch_count: number;
  batches: SampleBatch[];
  can_undo: number | null;
  cell_count: number;
  cells_per_batch: number;
  created_at: string;
  id: string;
  label_set: LabelSet;
  left_out: SampleLeftOut[];
  name: string;
  seed: number;
  seq: number;
  slides: SampleSlide[];
  tile_count: number;
}

/** An event that is kept, and what the annotator has said by now. */
export interface SampleAppended {
  annotator: string;
  can_undo: number | null;
  event_seq: number;
  flagged_count: number;
  labelled_count: number;
  seq: number;
}

/** A batch, and how far its annotator is. */
export interface SampleBatch {
  cell_count: number;
  flagged_count: number;
  labelled_count: number;
  number: number;
  tile_count: number;
}

/** A cell of a tile: its outline in px of the tile's picture, and what the annotator said. */
export interface SampleCell {
  badly_segmented: boolean;
  class_number: number | null;
  number: number;
  outline: [number, number][];
}

export interface SampleEvent {
  actor: string;
  body: Record<string, unknown>;
  event_id: string | null;
  kind: string;
  seq: number;
  time: string;
}

export interface SampleEvents {
  events: SampleEvent[];
  next_cursor: string | null;
}

/** Tiles and cells of a slide that are in no batch: they have no cells, the budget was spent, or a batch that was sampled elsewhere has cells that are not found here, or were found in another tile already. */
export interface SampleLeftOut {
  cell_count: number;
  name: string;
  reason: "no_cells" | "budget" | "not_found";
  slide_id: string;
  tile_count: number;
}

/** A slide whose tiles are in the sample. */
export interface SampleSlide {
  cell_count: number;
  job_id: string;
  name: string;
  slide_id: string;
  tile_count: number;
}

/** A tile of a sample, and how far its annotator is. */
export interface SampleTile {
  batch: number;
  cell_count: number;
  flagged_count: number;
  height_px: number;
  labelled_count: number;
  number: number;
  slide_id: string;
  slide_name: string;
  width_px: number;
  x_px: number;
  y_px: number;
}

export interface SampleTiles {
  next_cursor: string | null;
  tiles: SampleTile[];
}

/** The event of this number, which is of the same annotator, counts no more. */
export interface SampleUndone {
  actor?: string;
  body: UndoneBody;
  event_id?: string | null;
  expected_seq?: number | null;
  kind: "undone";
}

export interface Samples {
  next_cursor: string | null;
  samples: Sample[];
}

export interface SeenCellBody {
  class_number: number | null;
  row: number;
  shown_class_number?: number | null;
}

/** Who asks. */
export interface Session {
  asks_for_key: boolean;
  name: string | null;
  scopes: ("read" | "label" | "run" | "admin")[];
}

/** The key that a browser signs in with. */
export interface SignIn {
  key: string;
}

/** A slide. */
export interface Slide {
  created_at: string;
  deleting: boolean;
  digest: string;
  height_px: number;
  id: string;
  labellings: Board[];
  levels: Record<string, number>[];
  mpp: number | null;
  mpp_assumed: boolean;
  name: string;
  objective_power: number | null;
  size_bytes: number;
  stain: "H&E" | "IHC" | "fluorescence" | "other" | null;
  stain_detected: boolean;
  tissue: string | null;
  vendor: string;
  width_px: number;
}

export interface Slides {
  next_cursor: string | null;
  slides: Slide[];
}

/** A cluster that was split: the clustering that it was of, which may have been deleted since, and its parts. */
export interface Split {
  clustering_id: string;
  node_id: number;
  part_ids: number[];
}

/** Which cluster to split into how many parts, and whose labels come along. */
export interface SplitRequest {
  labelling_id?: string | null;
  node_id: number;
  part_count?: number;
}

/** How far a stage is. */
export interface StageProgress {
  done_count: number;
  seconds: number;
  stage: "plan" | "cut" | "segment" | "embed" | "settle" | "cluster" | "tables" | "evaluate";
  total_count: number;
}

/** A labelling as its events leave it, with what was learnt from them. */
export interface State {
  can_undo: boolean;
  cell_count: number;
  class_counts: ClassCount[];
  cluster_count: number;
  cluster_names: NamedCluster[];
  clustering_id: string;
  held_out: HeldOut | null;
  id: string;
  label_set: LabelSet;
  last_event: LastEvent | null;
  learned_s: number | null;
  learned_seq: number;
  locked_node_ids: number[];
  mark_count: number;
  marks: [number, number][];
  moved: MovedLabels | null;
  odd: [number, number][];
  page_count: number;
  seen_count: number;
  seq: number;
  spread: "none" | "model" | "clusters";
  sure_count: number;
  unlabelled_count: number;
  version: number;
}

/** What a program thinks that a cluster is. It is no label: nothing is learnt from it. */
export interface Suggestion {
  class_number: number | null;
  created_at: string;
  node_id: number;
  origin: Origin;
  votes: Vote[];
}

export interface Suggestions {
  suggestions: Suggestion[];
}

/** The tile's picture, with so much around the tile on each side. */
export interface TilePicture {
  height_px: number;
  href: string;
  margin_px: number;
  mpp: number;
  width_px: number;
}

/** What somebody said of cells. */
export interface Truth {
  classes: TruthClass[];
  created_at: string;
  id: string;
  kind: "cells" | "points" | "shapes";
  name: string;
  row_count: number;
  sample_id: string | null;
  sample_seq: number | null;
  sha256: string;
  size_bytes: number;
}

/** A class of a truth, and how many rows, points or shapes are of it. */
export interface TruthClass {
  name: string;
  row_count: number;
}

export interface Truths {
  next_cursor: string | null;
  truths: Truth[];
}

/** The event of this number counts no more. */
export interface Undone {
  actor?: string;
  body: UndoneBody;
  expected_seq?: number | null;
  kind: "undone";
}

export interface UndoneBody {
  seq: number;
}

/** One answer: a class, or null where the program would not say. */
export interface Vote {
  class_number: number | null;
  reason?: string;
}

/** Cells of a page's cluster on the slide: centroids in level-0 px. */
export interface Where {
  points: [number, number][];
  slide_id: string;
  thumbnail: string;
}

/** A format in which labels are taken away. */
export type ExportName = "cells.geojson.gz" | "labels.parquet" | "published.zip";
