// One evaluation: how far its job is, and its numbers once they are there.
import { signal } from "@preact/signals";
import { api, asProblem } from "../api";
import type { Clustering, EvaluationNumbers, Job, Problem, Truth } from "../types";

export class EvaluationScene {
  readonly evaluation = signal<EvaluationNumbers | null>(null);
  readonly job = signal<Job | null>(null);
  readonly truth = signal<Truth | null>(null);
  readonly clustering = signal<Clustering | null>(null);
  readonly problem = signal<Problem | null>(null);
  readonly refusal = signal<Problem | null>(null);

  constructor(readonly id: string) {}

  async load(): Promise<void> {
    try {
      const [evaluation, job] = await Promise.all([api.evaluation(this.id), api.job(this.id)]);
      const [truth, clustering] = await Promise.all([
        api.truth(evaluation.truth_id),
        api.clustering(evaluation.clustering_id),
      ]);
      this.truth.value = truth;
      this.clustering.value = clustering;
      this.job.value = job;
      this.evaluation.value = evaluation;
      this.problem.value = null;
    } catch (error) {
      this.problem.value = asProblem(error);
    }
  }

  async hear(job: Job): Promise<void> {
    if (job.id !== this.id) return;
    const before = this.job.value;
    this.job.value = job;
    if (before && (before.state !== job.state || before.attempt !== job.attempt)) await this.load();
  }

  cancel(): Promise<void> {
    return this.wish(() => api.cancelJob(this.id));
  }

  retry(): Promise<void> {
    return this.wish(() => api.retryJob(this.id));
  }

  async remove(): Promise<void> {
    try {
      await api.remove("job", this.id);
      this.refusal.value = null;
    } catch (error) {
      this.refusal.value = asProblem(error);
    }
  }

  private async wish(ask: () => Promise<Job>): Promise<void> {
    try {
      await this.hear(await ask());
      this.refusal.value = null;
    } catch (error) {
      this.refusal.value = asProblem(error);
    }
  }
}

/** What was measured, in a few words. */
export function measuredWords(one: EvaluationNumbers, clustering: Clustering | null): string {
  const slides = clustering?.slides ?? [];
  const of = slides.length > 1 ? `${slides[0]?.name} and ${slides.length - 1} more` : (slides[0]?.name ?? "");
  return one.labelling_id ? `labels of ${of}` : `${one.cluster_count} clusters of ${of}`;
}
