// All evaluations of the project with their numbers, and what can be measured against what.
import { computed, signal } from "@preact/signals";
import { api, asProblem, titleOf } from "../api";
import type { Gone } from "../events";
import type { Clustering, Evaluation, EvaluationRequest, Job, Problem, Slide, Truth } from "../types";
import type { Note } from "../ui/notes";
import { type Found, isFound } from "./numbers";

const AT_ONCE = 4;

/** Numbers of evaluations that were read: they never change. */
const numbers = signal<ReadonlyMap<string, Found>>(new Map());

export function numbersOf(id: string): Found | null {
  return numbers.value.get(id) ?? null;
}

/** Reads the numbers of these evaluations, those that have not been read, a few at a time. */
export async function readNumbers(ids: readonly string[]): Promise<void> {
  const lacking = ids.filter((id) => !numbers.value.has(id));
  const next = async () => {
    for (let id = lacking.shift(); id; id = lacking.shift()) {
      const one = await api.evaluation(id);
      if (isFound(one)) numbers.value = new Map(numbers.value).set(id, one);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
}

export interface Row {
  evaluation: Evaluation;
  job: Job | null;
  /** Which slides, in words. */
  slides: string;
  truth: string;
}

export class AllEvaluations {
  readonly evaluations = signal<readonly Evaluation[] | null>(null);
  readonly jobs = signal<ReadonlyMap<string, Job>>(new Map());
  readonly clusterings = signal<readonly Clustering[]>([]);
  readonly truths = signal<readonly Truth[]>([]);
  readonly slides = signal<readonly Slide[]>([]);
  readonly problem = signal<Problem | null>(null);
  readonly note = signal<Note | null>(null);
  readonly chosen = signal<ReadonlySet<string>>(new Set());
  readonly rows = computed<readonly Row[]>(() =>
    (this.evaluations.value ?? []).map((evaluation) => ({
      evaluation,
      job: this.jobs.value.get(evaluation.id) ?? null,
      slides: slidesOf(this.clusterings.value.find((one) => one.id === evaluation.clustering_id)),
      truth: this.truths.value.find((one) => one.id === evaluation.truth_id)?.name ?? "a truth",
    })),
  );

  async load(): Promise<void> {
    try {
      const [evaluations, clusterings, truths, slides, jobs] = await Promise.all([
        api.evaluations(),
        api.clusterings(),
        api.truths(),
        api.slides(),
        api.jobs(),
      ]);
      this.clusterings.value = clusterings;
      this.truths.value = truths;
      this.slides.value = slides;
      this.jobs.value = new Map(jobs.map((job) => [job.id, job]));
      this.evaluations.value = evaluations;
      this.problem.value = null;
      await readNumbers(evaluations.filter((one) => one.state === "succeeded").map((one) => one.id));
    } catch (error) {
      if (this.evaluations.value) this.note.value = { text: titleOf(asProblem(error)) };
      else this.problem.value = asProblem(error);
    }
  }

  async hear(job: Job): Promise<void> {
    if (job.kind !== "evaluation") return;
    const before = this.jobs.value.get(job.id);
    this.jobs.value = new Map(this.jobs.value).set(job.id, job);
    if (before?.state !== job.state) await this.load();
  }

  hearDeleted(gone: Gone): void {
    this.evaluations.value = this.evaluations.value?.filter((one) => one.id !== gone.id) ?? null;
  }

  choose(id: string, isChosen: boolean): void {
    const chosen = new Set(this.chosen.value);
    if (isChosen) chosen.add(id);
    else chosen.delete(id);
    this.chosen.value = chosen;
  }

  /** Of each clustering its newest evaluation that has numbers. */
  newestOfEach(): string[] {
    const newest = new Map<string, string>();
    for (const one of this.evaluations.value ?? []) {
      const known = newest.has(one.clustering_id);
      if (one.state === "succeeded" && !known) newest.set(one.clustering_id, one.id);
    }
    return [...newest.values()];
  }

  /** The job that measures; or why it was refused. */
  async measure(wanted: Omit<EvaluationRequest, "truth_id">, truth: File | string): Promise<Job | Problem> {
    try {
      const brought = typeof truth === "string" ? truth : (await api.bringTruth(truth)).id;
      return await api.evaluate({ ...wanted, truth_id: brought });
    } catch (error) {
      return asProblem(error);
    }
  }
}

export function slidesOf(clustering: Clustering | undefined): string {
  const slides = clustering?.slides ?? [];
  if (slides.length === 0) return "a clustering";
  return slides.length > 1 ? `${slides[0]?.name} and ${slides.length - 1} more` : (slides[0]?.name ?? "");
}

export function whatOf(one: Evaluation): string {
  if (one.labelling_id) return `labels, after ${one.labelling_seq} answers`;
  return `${one.cluster_count} clusters`;
}
