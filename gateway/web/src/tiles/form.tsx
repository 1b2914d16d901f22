// Of which slides tiles are sampled, and how many cells.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { api, asProblem, titleOf } from "../api";
import { countOf } from "../format";
import { go } from "../route";
import type { Problem } from "../types";
import type { AllSamples } from "./samples";

interface NumberProps {
  name: string;
  label: string;
  says: string;
  value: number;
  max: number;
  min?: number;
}

function NumberChoice({ name, label, says, value, max, min = 1 }: NumberProps) {
  return (
    <div class="choice">
      <label for={name}>{label}</label>
      <input
        id={name}
        class="field"
        name={name}
        type="number"
        min={min}
        max={max}
        required
        defaultValue={String(value)}
      />
      <span class="tiny">{says}</span>
    </div>
  );
}

export function NewSampleForm({ all, job, done }: { all: AllSamples; job: string | null; done: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    try {
      const made = await api.startSample({
        job_ids: form.getAll("job").map(String),
        label_set_id: String(form.get("label_set") ?? "") || null,
        name: String(form.get("name") ?? "").trim() || null,
        batch_count: Number(form.get("batch_count")),
        cells_per_batch: Number(form.get("cells_per_batch")),
        seed: Number(form.get("seed")),
      });
      dialog.current?.close();
      go({ screen: "tiles", sample: made.id });
    } catch (error) {
      setRefusal(asProblem(error));
    }
    setBusy(false);
  };
  return (
    <dialog
      ref={dialog}
      class="job-form"
      aria-labelledby="sample-title"
      onClose={done}
      onKeyDown={(event) => event.stopPropagation()}
    >
      <form onSubmit={(event) => void submit(event)} onInput={() => setRefusal(null)}>
        <h1 id="sample-title">Sample tiles to label</h1>
        <p class="muted">The same seed takes the same tiles of the same runs. What is left out is said.</p>
        <fieldset class="models">
          <legend>Slides</legend>
          {all.jobs.value.length === 0 && <p class="muted">No slide has cells yet: find the cells of one first.</p>}
          {all.jobs.value.map((one) => (
            <label key={one.id}>
              <input type="checkbox" name="job" value={one.id} defaultChecked={job === null || job === one.id} />
              <span>
                <b class="strong">{one.slide_name}</b> <span class="muted">{countOf(one.cell_count ?? 0, "cell")}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <div class="choice">
          <label for="sample-name">Name</label>
          <input id="sample-name" class="field" name="name" maxLength={60} placeholder="a name, if you like" />
        </div>
        <div class="choice">
          <label for="label_set">Classes</label>
          <select id="label_set" class="field" name="label_set">
            {all.sets.value.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}: {one.classes.map((klass) => klass.name).join(", ")}
              </option>
            ))}
          </select>
        </div>
        <div class="sample-numbers">
          <NumberChoice
            name="batch_count"
            label="Batches"
            says="Parts to label one after the other."
            value={1}
            max={100}
          />
          <NumberChoice name="cells_per_batch" label="Cells in each" says="About so many." value={300} max={100000} />
          <NumberChoice name="seed" label="Seed" says="Of chance." value={42} min={0} max={2 ** 53 - 1} />
        </div>
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
            {busy ? "Sampling…" : "Sample"}
          </button>
        </footer>
      </form>
    </dialog>
  );
}
