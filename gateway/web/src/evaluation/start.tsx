// What is to be measured, and against what: a file that somebody brings, or a truth that is here already.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { titleOf } from "../api";
import { boardName } from "../jobs/boards";
import { go } from "../route";
import type { Clustering, Problem, Slide } from "../types";
import { type AllEvaluations, slidesOf } from "./all";

interface Choice {
  value: string;
  words: string;
}

/** Labels are of boards on which something was said. */
function boardsOf(slides: readonly Slide[]): Choice[] {
  const seen = new Map<string, string>();
  for (const slide of slides) {
    for (const board of slide.labellings) {
      if (board.word_count > 0 && !seen.has(board.id)) seen.set(board.id, `${slide.name}: ${boardName(board)}`);
    }
  }
  return [...seen].map(([id, words]) => ({ value: `labels ${id}`, words }));
}

function clusteringsOf(clusterings: readonly Clustering[]): Choice[] {
  return clusterings.map((one) => ({
    value: `clusters ${one.id}`,
    words: `${slidesOf(one)}: ${one.cluster_count} clusters of ${one.cell_count.toLocaleString("en-GB")} cells`,
  }));
}

interface StartProps {
  all: AllEvaluations;
  clustering: string | null;
  /** A truth that is here already, chosen first. */
  brought: string | null;
  done: () => void;
}

export function Start({ all, clustering, brought, done }: StartProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [what, setWhat] = useState(clustering ? `clusters ${clustering}` : "");
  const [truth, setTruth] = useState(brought ?? "");
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const [clusters, labels] = [clusteringsOf(all.clusterings.value), boardsOf(all.slides.value)];
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const [kind, id = ""] = String(form.get("what")).split(" ");
    const count = Number(form.get("cluster_count") || 0);
    const file = form.get("file");
    setBusy(true);
    const asked = await all.measure(
      kind === "labels" ? { labelling_id: id } : { clustering_id: id, cluster_count: count },
      truth || (file as File),
    );
    setBusy(false);
    if ("title" in asked) return setRefusal(asked);
    dialog.current?.close();
    go({ screen: "evaluation", id: asked.id });
  };
  return (
    <dialog
      ref={dialog}
      class="job-form measure-form"
      aria-labelledby="measure-title"
      onClose={done}
      onKeyDown={(event) => event.stopPropagation()}
    >
      <form onSubmit={(event) => void submit(event)} onInput={() => setRefusal(null)}>
        <h1 id="measure-title">Measure against a truth</h1>
        <p class="muted">
          What people say of some cells is compared with the clusters, or with the labels as they are now. Only cells
          that both know are measured.
        </p>
        <div class="choice">
          <label for="what">What to measure</label>
          <select
            id="what"
            class="field"
            name="what"
            required
            value={what}
            onChange={(event) => setWhat(event.currentTarget.value)}
          >
            <option value="">Choose…</option>
            <Group label="Clusters" choices={clusters} chosen={what} />
            <Group label="Labels of a board" choices={labels} chosen={what} />
          </select>
        </div>
        {what.startsWith("clusters") && (
          <div class="choice">
            <label for="cluster_count">Into how many clusters</label>
            <input
              id="cluster_count"
              class="field"
              name="cluster_count"
              type="number"
              min="1"
              max="4096"
              placeholder="as many as proposed"
            />
          </div>
        )}
        <div class="choice">
          <label for="truth">Truth</label>
          <select id="truth" class="field" value={truth} onChange={(event) => setTruth(event.currentTarget.value)}>
            <option value="">from a file</option>
            {all.truths.value.map((one) => (
              <option key={one.id} value={one.id} selected={one.id === truth}>
                {one.name}: {one.row_count.toLocaleString("en-GB")} {one.kind}, {one.classes.length} classes
              </option>
            ))}
          </select>
        </div>
        {truth === "" && (
          <div class="choice">
            <label for="truth-file">File of the truth</label>
            <input id="truth-file" class="field" name="file" type="file" required />
            <span class="tiny">
              CSV with class and cell_id, row, or x and y in the slide's own pixels; GeoJSON of QuPath with classes.
            </span>
          </div>
        )}
        {refusal && (
          <p class="refusal" role="alert">
            {titleOf(refusal)}. {refusal.detail}
          </p>
        )}
        <footer>
          <button type="button" class="btn" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="btn main" disabled={busy}>
            {busy ? "Sending…" : "Measure"}
          </button>
        </footer>
      </form>
    </dialog>
  );
}

function Group({ label, choices, chosen }: { label: string; choices: readonly Choice[]; chosen: string }) {
  if (choices.length === 0) return null;
  return (
    <optgroup label={label}>
      {choices.map((one) => (
        <option key={one.value} value={one.value} selected={one.value === chosen}>
          {one.words}
        </option>
      ))}
    </optgroup>
  );
}
