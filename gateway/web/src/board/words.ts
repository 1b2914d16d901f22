// Sentences of the panel: what spreads and why, whether there are groups at all.
import { countOf, shareOf } from "../format";
import type { Clustering, ClusterName, HeldOut, Klass, Labelling, Moved } from "../types";

type Counted = Pick<Labelling, "spread" | "cell_count" | "sure_count" | "unlabelled_count">;

/** How far the labels reach. A model has a word for every cell, also unseen ones: how many it is sure of is what counts. */
export function headline({ spread, cell_count, sure_count, unlabelled_count }: Counted): [string, string] {
  if (spread === "model") return [shareOf(sure_count, cell_count), `sure, of ${countOf(cell_count, "cell")}`];
  return [shareOf(cell_count - unlabelled_count, cell_count), "have a label"];
}

/** How good the labels of unseen cells are, and from what that is known; or why nothing can be said yet. */
export function heldOutSentence(labelling: Labelling): string {
  const { held_out, spread } = labelling;
  if (spread === "none") {
    return "Five seen cells that mostly agree name their cluster whole; a model learns as soon as two classes were seen.";
  }
  const spreads = spread === "model" ? "The model spreads" : "Cluster names spread";
  if (!held_out || held_out.cell_count === 0) {
    return `${spreads}; how good that is can be said when cells of several tiles were named on pages, and not only accepted.`;
  }
  const { accuracy, low, high, cell_count, page_count } = held_out;
  const about = `About ${right(accuracy)} of 100 labels of cells that nobody saw are right (${right(low)} to ${right(high)})`;
  const basis = `${countOf(cell_count, "cell")} of ${countOf(page_count, "page")} held out`;
  return `${about}: ${spread === "model" ? byModel(held_out, basis) : byNames(held_out, basis)}`;
}

function right(share: number): number {
  return Math.round(100 * share);
}

/** The estimate lies halfway between what was measured and the model's own confidence, which is shown, too. */
function byModel(held_out: HeldOut, basis: string): string {
  const { accuracy, model_accuracy } = held_out;
  const expected = 2 * accuracy - model_accuracy;
  return (
    `halfway between ${right(model_accuracy)}, what the model was right for on ${basis}, ` +
    `and ${right(expected)}, what it expects. The model spreads. ${beside(held_out)}`
  );
}

/** What else was right for the same cells: a number says little without the one that costs nothing. */
function beside({ constant_accuracy, cluster_accuracy, named_share }: HeldOut): string {
  const names =
    named_share === 0
      ? "cluster names could not be tried: no cluster keeps its name without the page held out"
      : `cluster names for ${right(cluster_accuracy)}`;
  return `Calling every cell by the commonest class was right for ${right(constant_accuracy)} of 100, ${names}.`;
}

/** Measured alone, on the cells to which a name gave a class. */
function byNames({ model_accuracy, cluster_accuracy, constant_accuracy }: HeldOut, basis: string): string {
  return (
    `so many of ${basis} that got a class by a name. Cluster names spread: ` +
    `of all cells held out they were right for ${right(cluster_accuracy)} of 100, the model for ${right(model_accuracy)}, ` +
    `calling every cell by the commonest class for ${right(constant_accuracy)}.`
  );
}

/** What came along from an earlier board of the same cells, and what did not. */
export function movedSentence({ cell_count, dropped_cell_count, dropped_name_count }: Moved): string {
  const left = [
    dropped_cell_count > 0 ? `${countOf(dropped_cell_count, "cell")} ${is(dropped_cell_count)} not here` : "",
    dropped_name_count > 0 ? `${countOf(dropped_name_count, "cluster name")} did not fit` : "",
  ].filter(Boolean);
  const along = `What was said about ${countOf(cell_count, "cell")} came along from the board before`;
  return `${[along, left.join(", ")].filter(Boolean).join("; ")}.`;
}

/** Node of a page of cells that are in no cluster. */
export const NO_CLUSTER = 0;

/** What a cluster is called where another cell is said to be like it. */
export function nearWords(node_id: number | null, names: readonly ClusterName[], classes: readonly Klass[]): string {
  if (node_id === null) return "like no cluster";
  const number = names.find((one) => one.node_id === node_id)?.class_number;
  const name = classes.find((one) => one.number === number)?.name;
  return `nearest to cluster ${node_id}${name ? `, ${name}` : ""}`;
}

/** What a person asks to be changed; 0 clusters are as many as stand apart. */
export type Wish = { kind: "split"; node_id: number } | { kind: "regroup"; cluster_count: number };

/** What is said of a wish while it waits, when it is under way, and where nothing comes of it. */
export function wishWords(wish: Wish): { waits: string; begun: string; stays: string } {
  if (wish.kind === "split") {
    const cluster = `Cluster ${wish.node_id}`;
    const waits = "A split waits until everything said is sent";
    return { waits, begun: `${cluster} is being split…`, stays: `${cluster} is as it was.` };
  }
  return {
    waits: "The rest waits until everything said is sent",
    begun: "The rest is being grouped anew…",
    stays: "All clusters are as they were.",
  };
}

export type Changed = Pick<Clustering, "split" | "regrouping">;

/** Clusters that the last change made. */
export function newClusters({ split, regrouping }: Changed): readonly number[] {
  return split?.part_ids ?? regrouping?.cluster_ids ?? [];
}

/** What was changed; empty where the clustering was made of cells. */
export function changeSentence({ split, regrouping }: Changed): string {
  if (split) return `Cluster ${split.node_id} was split into ${listed(split.part_ids)}. All others are what they were.`;
  if (!regrouping) return "";
  const made = `The rest was grouped anew, into ${countOf(regrouping.cluster_ids.length, "cluster")}.`;
  return `${made} ${keptSentence(regrouping.locked_ids)}`;
}

export function keptSentence(locked_ids: readonly number[]): string {
  if (locked_ids.length === 0) return "No cluster has a name: none stays as it was.";
  if (locked_ids.length === 1) return `Cluster ${locked_ids[0]} stays, with its cells and its name.`;
  return `Clusters ${listed(locked_ids, MOST_LISTED)} stay, with their cells and their names.`;
}

const MOST_LISTED = 12;

function listed(ids: readonly number[], most = ids.length): string {
  const shown = ids.length > most ? [...ids.slice(0, most - 1), `${ids.length - most + 1} others`] : ids;
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown[shown.length - 1]}`;
}

function is(count: number): string {
  return count === 1 ? "is" : "are";
}

export function structureSentence(clustering: Pick<Clustering, "structure_found" | "cluster_count">): string {
  return clustering.structure_found
    ? `What you said stays, however fine the cut. ${countOf(clustering.cluster_count, "cluster")} are proposed.`
    : "What you said stays, however fine the cut. These cells form no groups that are steadier than chance: trust pages, not clusters.";
}

/** Of fewer slides the scores depend on each other, and an interval would say more than is known. */
const LEAST_SLIDES_OF_AN_INTERVAL = 4;

/** How well a cohort's slides mix; empty of one slide. */
export function mixingSentence({ mixing, slides }: Pick<Clustering, "mixing" | "slides">): string {
  if (slides.length < 2) return "";
  if (!mixing) return "How well the slides mix is not known.";
  const { score, low, high } = mixing;
  const told = slides.flatMap((slide) => (slide.mixing === null ? [] : [{ name: slide.name, mixing: slide.mixing }]));
  const [least] = told.sort((a, b) => a.mixing - b.mixing);
  const apart = least ? ` ${least.name} mixes least: ${least.mixing.toFixed(2)}.` : "";
  const interval = told.length < LEAST_SLIDES_OF_AN_INTERVAL ? "" : ` (${low.toFixed(2)} to ${high.toFixed(2)})`;
  return `Mixing of the slides: ${score.toFixed(2)}${interval}; 1 is as by chance, 0 not at all.${apart}`;
}
