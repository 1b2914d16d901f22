// One slide and what is being done with it.
import { useState } from "preact/hooks";
import { api, titleOf } from "../api";
import { bytes, count, when } from "../format";
import { writeRoute } from "../route";
import type { Job, Problem, Slide } from "../types";
import { Boards, doneSentence } from "./boards";
import { stainWords } from "./choices";
import { MadeBy } from "./made";
import { More } from "./more";
import { Otherwise } from "./otherwise";
import { Stages } from "./stages";
import { asksForScale, type Home, needsNewJob, type Row } from "./store";

export function SlideRow({ row, home }: { row: Row; home: Home }) {
  const { slide, job, refusal } = row;
  const isGoing = slide.deleting || job?.deleting === true;
  return (
    <li class={`slide-card ${isGoing ? "going" : ""}`} data-slide={slide.id} data-state={job?.state ?? "none"}>
      <a class="thumb" href={slideAddress(slide)} aria-label={`Look at ${slide.name}`}>
        <img src={api.thumbnail(slide.id, 256)} alt="" loading="lazy" />
      </a>
      <div class="slide-body">
        <div class="slide-head">
          <h1>{slide.name}</h1>
          {isGoing ? <span class="chip none">being deleted</span> : <StateChip job={job} />}
          <span class="push" />
          {isGoing ? null : <Buttons slide={slide} job={job} home={home} />}
        </div>
        <p class="tiny">{facts(slide)}</p>
        {asksForScale(refusal) ? (
          <ScaleForm start={(mpp) => void home.start(slide.id, mpp)} />
        ) : (
          <Outcome slide={slide} job={job} refusal={refusal} home={home} />
        )}
        {job && <MadeBy job={job} models={home.models.value} />}
      </div>
    </li>
  );
}

function slideAddress(slide: Slide): string {
  const board = slide.labellings[0];
  return board
    ? writeRoute({ screen: "slide", labelling: board.id, slide: slide.id, at: null })
    : writeRoute({ screen: "look", slide: slide.id });
}

function facts(slide: Slide): string {
  const scale =
    slide.mpp === null ? "scale unknown" : `${slide.mpp.toFixed(3)} µm per px${slide.mpp_assumed ? ", assumed" : ""}`;
  const size = `${count(slide.width_px)} × ${count(slide.height_px)} px`;
  return [size, scale, stainWords(slide), bytes(slide.size_bytes), slide.vendor].filter(Boolean).join(" · ");
}

const WORDS: Record<Job["state"], string> = {
  queued: "waiting",
  running: "working",
  cancelling: "stopping",
  succeeded: "ready",
  failed: "failed",
  cancelled: "cancelled",
};

function StateChip({ job }: { job: Job | null }) {
  if (!job) return <span class="chip none">not run yet</span>;
  if (job.verdict === "no_tissue") return <span class="chip none">no tissue</span>;
  if (job.verdict === "no_cells") return <span class="chip none">no cells</span>;
  const kind = job.state === "failed" ? "wrong" : job.state === "cancelled" ? "none" : "calm";
  return <span class={`chip ${kind}`}>{WORDS[job.state]}</span>;
}

interface ButtonsProps {
  slide: Slide;
  job: Job | null;
  home: Home;
}

function Buttons(props: ButtonsProps) {
  const [asking, setAsking] = useState(false);
  const otherwise = () => setAsking(true);
  return (
    <>
      <Next {...props} otherwise={otherwise} />
      <Boards slide={props.slide} />
      <More {...props} otherwise={otherwise} />
      {asking && <Otherwise {...props} done={() => setAsking(false)} />}
    </>
  );
}

/** What can be done about the slide's newest run. */
function Next({ slide, job, home, otherwise }: ButtonsProps & { otherwise: () => void }) {
  if (!job) {
    return (
      <button type="button" class="btn main" onClick={() => void home.start(slide.id)}>
        Find its cells
      </button>
    );
  }
  if (job.state === "succeeded") return null;
  if (needsNewJob(job)) {
    return (
      <button type="button" class="btn" onClick={otherwise}>
        Start anew…
      </button>
    );
  }
  if (job.state === "failed" || job.state === "cancelled") {
    return (
      <button type="button" class="btn" onClick={() => void home.retry(job)}>
        Try again
      </button>
    );
  }
  return (
    <button type="button" class="btn" disabled={job.state === "cancelling"} onClick={() => void home.cancel(job)}>
      Cancel
    </button>
  );
}

function Outcome({ slide, job, refusal, home }: Row & { home: Home }) {
  if (refusal) return <Refused problem={refusal} hint="" />;
  if (!job) return null;
  if (job.state === "failed" && job.error) {
    const hint = needsNewJob(job) ? "" : "Trying again continues from what is done already.";
    return <Refused problem={job.error} hint={hint} />;
  }
  if (job.verdict === "no_tissue") {
    return <p class="muted">No tissue was found, so there are no cells to look for. A very pale stain can hide it.</p>;
  }
  if (job.verdict === "no_cells") {
    return <p class="muted">There is tissue, but no cell was found in it. Is the scale of the slide right?</p>;
  }
  if (job.state === "succeeded") return <Done slide={slide} job={job} home={home} />;
  if (job.state === "cancelled") return <p class="muted">Stopped. Trying again continues from what is done already.</p>;
  return <Stages job={job} />;
}

function Refused({ problem, hint }: { problem: Problem; hint: string }) {
  return (
    <p role="alert">
      <b class="strong">{titleOf(problem)}.</b>{" "}
      <span class="muted">{[problem.detail, hint].filter(Boolean).join(" ")}</span>
    </p>
  );
}

function Done({ slide, job, home }: { slide: Slide; job: Job; home: Home }) {
  const reports = [...home.jobs.value.values()].filter((one) => measures(one, job));
  return (
    <>
      <p class="muted">{doneSentence(slide, job)}</p>
      {reports.length > 0 && (
        <p class="tiny">
          Measured against a truth:{" "}
          {reports.map((one, index) => (
            <span key={one.id}>
              {index > 0 && ", "}
              <a href={writeRoute({ screen: "evaluation", id: one.id })}>
                {one.labelling_id ? "labels" : "clusters"}, {when(one.finished_at ?? one.created_at)}
              </a>
            </span>
          ))}
        </p>
      )}
    </>
  );
}

function measures(one: Job, job: Job): boolean {
  return one.kind === "evaluation" && one.state === "succeeded" && one.clustering_id === job.clustering_id;
}

function ScaleForm({ start }: { start: (mpp: number) => void }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const mpp = Number(new FormData(event.currentTarget as HTMLFormElement).get("mpp"));
    if (mpp > 0) start(mpp);
  };
  return (
    <form class="scale-form" onSubmit={submit}>
      <p>
        <b class="strong">How large is a pixel?</b>{" "}
        <span class="muted">The file does not say. Most scans at 40× have 0.25 µm per pixel, at 20× 0.5.</span>
      </p>
      <label>
        <input class="field" name="mpp" type="number" min="0.05" max="20" step="any" required placeholder="0.25" /> µm
        per pixel
      </label>
      <button type="submit" class="btn main">
        Start
      </button>
    </form>
  );
}
