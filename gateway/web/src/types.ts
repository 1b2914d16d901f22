// What the gateway says, by the names that the page has for it. The types themselves are in schema.ts, which is written
// from the API's own description.
import type * as schema from "./schema";

export type {
  Block,
  CellPicture,
  Cluster,
  Clustering,
  ClusteringSlide,
  Clusters,
  Evaluation,
  EvaluationDifferences,
  EvaluationNumbers,
  EvaluationRequest,
  ExportName,
  Fact,
  HeldOut,
  LabelSet,
  Model,
  NearPicture,
  NewSample,
  Noise,
  OpenTile,
  Page,
  PageCell,
  Sample,
  SampleAppended,
  SampleCell,
  SampleSlide,
  SampleTile,
  Session,
  Slide,
  Split,
  StageProgress,
  Suggestion,
  Truth,
} from "./schema";

export type BoardOf = schema.Board;
export type ClusterName = schema.NamedCluster;
export type Klass = schema.LabelClass;
export type Labelling = schema.State;
export type Moved = schema.MovedLabels;
/** The labelling after an event, with the number of that event. */
export type AppendedState = schema.AppendedState;
export type Spread = Labelling["spread"];
export type Stage = schema.StageProgress["stage"];

/** RFC 9457, as the gateway says it, or as the page does where the gateway does not answer. */
export type Problem = Pick<schema.Problem, "title" | "status"> & Partial<schema.Problem>;
/** What a job may be asked beside which slide it is of. */
export type Choices = Omit<schema.JobRequest, "slide_id">;
export type Job = Omit<schema.Job, "error"> & { error: Problem | null };

/** What an annotator says of a sample's cells. */
export type SampleWord = schema.NewSampleEvent;
export type LabelEvent = schema.NewEvent;
/** An event as the gateway keeps it. */
export type StoredEvent = LabelEvent & { seq: number };
