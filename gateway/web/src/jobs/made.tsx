// Which models made a job's cells, under which licences, of which data; and what was asked of them.
import type { Job, Model } from "../types";
import { askedOf, choicesOf, chosenWords, licenceOf } from "./choices";

const TASKS = [
  { task: "segmenter", does: "Cells found by" },
  { task: "embedder", does: "described by" },
] as const;

export function MadeBy({ job, models }: { job: Job; models: readonly Model[] }) {
  const used = TASKS.map(({ task, does }) => ({ does, name: String(job.params[task]), row: rowOf(job, task, models) }));
  const segmenter = used[0]?.row;
  const chosen = chosenWords(segmenter ? askedOf(choicesOf(job), segmenter) : choicesOf(job));
  return (
    <details class="made tiny">
      <summary>{used.map(({ does, name }) => `${does} ${name}`).join(", ")}</summary>
      {used.map(({ name, row }) => (
        <p key={name}>
          <b class="strong">{name}</b>{" "}
          {row
            ? `${licenceOf(row)}. Trained on ${row.trained_on}.`
            : "is not here any more; the run's manifest says more."}
        </p>
      ))}
      {chosen && <p>Asked for: {chosen}.</p>}
    </details>
  );
}

/** The model itself: of another revision other words may be true. */
function rowOf(job: Job, task: Model["task"], models: readonly Model[]): Model | null {
  const revision = job.params[`${task}_revision`];
  return models.find((one) => one.task === task && one.revision === revision && one.name === job.params[task]) ?? null;
}
