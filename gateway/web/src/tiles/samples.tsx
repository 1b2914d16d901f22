// All samples, and the form that takes a new one.
import { signal } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { api, asProblem, titleOf } from "../api";
import { useEvents } from "../events";
import { count, countOf, when } from "../format";
import { useKeys } from "../keys";
import { writeRoute } from "../route";
import type { Job, LabelSet, Problem, Sample } from "../types";
import { Ask, type Question } from "../ui/ask";
import type { Note } from "../ui/notes";
import { Failed, Keys, State } from "../ui/parts";
import { Disclaimer, type KeyHelp, Shell, samplesTabs } from "../ui/shell";
import { NewSampleForm } from "./form";
import { annotatorKept } from "./store";
import "./tiles.css";

const HELP: KeyHelp[] = [{ keys: ["S"], does: "sample tiles" }];

export class AllSamples {
  readonly samples = signal<readonly Sample[] | null>(null);
  /** Of each slide the newest job that found cells. */
  readonly jobs = signal<readonly Job[]>([]);
  readonly sets = signal<readonly LabelSet[]>([]);
  readonly problem = signal<Problem | null>(null);
  readonly note = signal<Note | null>(null);

  async load(): Promise<void> {
    try {
      const [samples, jobs, sets] = await Promise.all([api.samples(annotatorKept()), api.jobs(), api.labelSets()]);
      const newest = new Map<string, Job>();
      for (const job of [...jobs].sort((a, b) => a.created_at.localeCompare(b.created_at))) {
        if (job.kind === "slide" && job.verdict === "cells" && job.slide_id) newest.set(job.slide_id, job);
      }
      this.jobs.value = [...newest.values()];
      this.sets.value = sets;
      this.samples.value = samples;
      this.problem.value = null;
    } catch (error) {
      if (this.samples.value) this.note.value = { text: titleOf(asProblem(error)) };
      else this.problem.value = asProblem(error);
    }
  }

  async remove(id: string): Promise<void> {
    try {
      await api.remove("sample", id);
    } catch (error) {
      this.note.value = { text: titleOf(asProblem(error)) };
    }
    await this.load();
  }
}

export function SamplesScreen({ job }: { job: string | null }) {
  const all = useMemo(() => new AllSamples(), []);
  const [starting, setStarting] = useState(false);
  useEffect(() => {
    void all.load().then(() => job && setStarting(true));
  }, [all, job]);
  useEvents({ deleted: ({ kind }) => kind === "sample" && void all.load(), reopened: () => void all.load() });
  useKeys((key) => {
    if (key === "s") setStarting(true);
    return key === "s";
  });
  const samples = all.samples.value;
  return (
    <Shell
      tabs={samplesTabs(true)}
      panel={
        <>
          <section>
            <button type="button" class="btn main wide" aria-keyshortcuts="S" onClick={() => setStarting(true)}>
              Sample tiles…
            </button>
            <p class="tiny after">
              Tiles are taken by chance, as many cells of each slide as of another. Whoever labels them sees no cluster
              and no prediction.
            </p>
          </section>
          <section class="last">
            <Disclaimer />
          </section>
        </>
      }
      keyline={<Keys names={["S"]}>sample tiles</Keys>}
      last={samples && countOf(samples.length, "sample")}
      help={HELP}
      note={all.note.value}
    >
      {all.problem.value ? (
        <Failed problem={all.problem.value} again={() => void all.load()} />
      ) : !samples ? (
        <State title="Opening the samples">They are on their way.</State>
      ) : samples.length === 0 ? (
        <State title="No tiles were sampled yet" action={{ label: "Sample tiles…", act: () => setStarting(true) }}>
          To know what labels are worth, somebody has to say of some cells what they are, without seeing what was found.
        </State>
      ) : (
        <List all={all} samples={samples} />
      )}
      {starting && <NewSampleForm all={all} job={job} done={() => setStarting(false)} />}
    </Shell>
  );
}

function List({ all, samples }: { all: AllSamples; samples: readonly Sample[] }) {
  const [question, setQuestion] = useState<Question | null>(null);
  return (
    <>
      <h1 class="page-title">Samples of tiles</h1>
      <ul class="slides" aria-label="Samples">
        {samples.map((sample) => {
          const done = sample.batches.reduce((sum, one) => sum + one.labelled_count, 0);
          return (
            <li key={sample.id} class="slide-card">
              <div class="slide-body">
                <div class="slide-head">
                  <h2 class="sample-name">{sample.name}</h2>
                  <span class="push" />
                  <button type="button" class="btn" onClick={() => setQuestion(questionOf(sample, all))}>
                    Delete…
                  </button>
                  <a class="btn main" href={writeRoute({ screen: "tiles", sample: sample.id })}>
                    Label its tiles
                  </a>
                </div>
                <progress
                  class="meter"
                  max={sample.cell_count}
                  value={done}
                  aria-label={`Labelled of ${sample.name}`}
                />
                <p class="muted">
                  {count(done)} of {countOf(sample.cell_count, "cell")} labelled by {sample.annotator} ·{" "}
                  {countOf(sample.tile_count, "tile")} in{" "}
                  {sample.batches.length === 1 ? "1 batch" : `${count(sample.batches.length)} batches`} ·{" "}
                  {countOf(sample.slides.length, "slide")}
                </p>
                <p class="tiny">
                  Seed {sample.seed} · {when(sample.created_at)}
                  {leftWords(sample)}
                </p>
              </div>
            </li>
          );
        })}
      </ul>
      {question && <Ask question={question} done={() => setQuestion(null)} />}
    </>
  );
}

function leftWords({ left_out }: Sample): string {
  const over = left_out.filter((one) => one.reason === "budget").reduce((sum, one) => sum + one.tile_count, 0);
  const empty = left_out.filter((one) => one.reason === "no_cells").reduce((sum, one) => sum + one.tile_count, 0);
  const words = [
    over > 0 ? `${countOf(over, "tile")} beyond the number of cells` : "",
    empty > 0 ? `${countOf(empty, "tile")} without cells` : "",
  ].filter(Boolean);
  return words.length > 0 ? ` · left out: ${words.join(", ")}` : "";
}

function questionOf(sample: Sample, all: AllSamples): Question {
  const said = sample.annotators.reduce((sum, one) => sum + one.labelled_count, 0);
  return {
    title: `Delete ${sample.name}?`,
    goes: [
      `Its tiles, and ${said === 0 ? "no labels: there are none" : `${countOf(said, "label")} that people gave`}.`,
      "Truths that were made of it stay.",
      "This cannot be undone.",
    ],
    yes: "Delete the sample",
    act: () => void all.remove(sample.id),
  };
}
