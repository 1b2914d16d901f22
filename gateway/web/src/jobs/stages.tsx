// A job's stages as they go: several run at once, each shows its own share.

import { count, countOf, duration } from "../format";
import type { Job, Stage, StageProgress } from "../types";

const STAGES: readonly { stage: Stage; name: string; doing: string; unit: string }[] = [
  { stage: "plan", name: "Tissue", doing: "Looking for tissue", unit: "part" },
  { stage: "cut", name: "Tiles", doing: "Cutting tiles", unit: "part" },
  { stage: "segment", name: "Cells", doing: "Outlining cells", unit: "part" },
  { stage: "embed", name: "Measures", doing: "Measuring cells", unit: "part" },
  { stage: "settle", name: "One slide", doing: "Joining the parts", unit: "part" },
  { stage: "cluster", name: "Clusters", doing: "Bringing similar cells together", unit: "step" },
  { stage: "tables", name: "Tables", doing: "Writing tables", unit: "table" },
];

function share(progress: StageProgress | undefined): number {
  return progress && progress.total_count > 0 ? progress.done_count / progress.total_count : 0;
}

/** The stage in work: the one that the job names, or the next one where that is done already. */
export function current(job: Job, known: ReadonlyMap<Stage, StageProgress>): (typeof STAGES)[number] | undefined {
  const named = STAGES.findIndex((one) => one.stage === job.stage);
  return (
    STAGES.find(({ stage }, index) => index >= named && named >= 0 && share(known.get(stage)) < 1) ?? STAGES[named]
  );
}

export function Stages({ job }: { job: Job }) {
  const known = new Map(job.stages.map((one) => [one.stage, one]));
  const now = current(job, known)?.stage;
  return (
    <div class="stages">
      <ol>
        {STAGES.map(({ stage, name }) => (
          <li
            key={stage}
            class={share(known.get(stage)) >= 1 ? "done" : ""}
            aria-current={now === stage ? "step" : undefined}
          >
            <progress class="meter" max={1} value={share(known.get(stage))} aria-label={name} />
            <span>{name}</span>
          </li>
        ))}
      </ol>
      <p class="muted" role="status">
        {sentence(job, known)}
      </p>
    </div>
  );
}

export function sentence(job: Job, known: ReadonlyMap<Stage, StageProgress>): string {
  if (job.state === "queued") return "Waiting for its turn";
  if (job.state === "cancelling") return "Stopping after the part in work";
  if (job.waiting_for) return `Waiting, and going on by itself: ${job.waiting_for}`;
  const now = current(job, known);
  if (!now) return "Starting";
  const progress = known.get(now.stage);
  const parts =
    progress && progress.total_count > 1
      ? `: ${count(progress.done_count)} of ${countOf(progress.total_count, now.unit)}`
      : "";
  const spent = job.stages.reduce((sum, one) => sum + (one.seconds ?? 0), 0);
  return `${now.doing}${parts}${spent > 0 ? ` · ${duration(spent)} of work so far` : ""}`;
}
