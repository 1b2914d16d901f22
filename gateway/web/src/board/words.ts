// Sentences of the panel: what spreads and why, whether there are groups at all.
import { countOf, shareOf } from "../format";
import type { Clustering, Labelling, Moved } from "../types";

type Counted = Pick<Labelling, "spread" | "cell_count" | "sure_count" | "unlabelled_count">;

/** How far the labels reach. A model has a word for every cell, also unseen ones: how many it is sure of is what counts. */
export function headline({ spread, cell_count, sure_count, unlabelled_count }: Counted): [string, string] {
  if (spread === "model") return [shareOf(sure_count, cell_count), `sure, of ${countOf(cell_count, "cell")}`];
  return [shareOf(cell_count - unlabelled_count, cell_count), "have a label"];
}

export function heldOutSentence(labelling: Labelling): string {
  const { held_out, spread } = labelling;
  if (!held_out || held_out.cell_count === 0) {
    return spread === "none"
      ? "A model learns as soon as two classes were seen; until then labels stay where you put them."
      : `${spread === "model" ? "The model spreads" : "Cluster names spread"}; too few pages yet to compare the two.`;
  }
  const right = (share: number) => Math.round(100 * share);
  const { accuracy, low, high, cell_count, page_count, model_accuracy, cluster_accuracy } = held_out;
  const verdict = spread === "clusters" ? "Cluster names spread" : "The model spreads";
  const basis = `by ${countOf(cell_count, "cell")} on ${countOf(page_count, "page")} held out`;
  return (
    `About ${right(accuracy)} of 100 labels of cells that nobody saw are right (${right(low)} to ${right(high)}, ${basis}). ` +
    `${verdict}: the model was right for ${right(model_accuracy)} of 100, cluster names for ${right(cluster_accuracy)}.`
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

function is(count: number): string {
  return count === 1 ? "is" : "are";
}

export function structureSentence(clustering: Pick<Clustering, "structure_found" | "cluster_count">): string {
  return clustering.structure_found
    ? `Labels stay where you put them. ${countOf(clustering.cluster_count, "cluster")} is the cut the cells themselves suggest.`
    : "Labels stay where you put them. These cells form no groups that are steadier than chance: trust pages, not clusters.";
}
