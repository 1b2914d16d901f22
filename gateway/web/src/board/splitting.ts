// A cluster that is being split: a job makes another clustering, and its board takes this one's place when it is there.
import { type Signal, signal } from "@preact/signals";
import { api, asProblem, titleOf } from "../api";
import type { LabelOutbox } from "../label_outbox";
import { go } from "../route";
import type { Job, Labelling, Problem, Split } from "../types";
import type { Note } from "../ui/notes";

/** What was split just now, by the board that it led to: that board begins with a part. */
const arrivals = new Map<string, Split>();

/** What the person had split before they came to this board; told once. */
export function arrival(labelling_id: string): Split | undefined {
  const split = arrivals.get(labelling_id);
  arrivals.delete(labelling_id);
  return split;
}

export class Splitting {
  /** The cluster that is being split. */
  readonly node_id = signal<number | null>(null);
  private job_id: string | null = null;

  constructor(
    private readonly outbox: LabelOutbox,
    private readonly notice: Signal<Note | null>,
  ) {}

  /** Asks for it when everything that was said has arrived: it comes along. */
  async ask(labelling: Labelling | null, node_id: number): Promise<void> {
    if (!labelling || this.node_id.value !== null) return;
    await this.outbox.still();
    if (this.outbox.words.value.length > 0) {
      this.notice.value = { text: "A split waits until everything said is sent" };
      return;
    }
    this.node_id.value = node_id;
    this.notice.value = { text: `Cluster ${node_id} is being split…` };
    try {
      const job = await api.split(labelling.clustering_id, node_id, labelling.id);
      this.job_id = job.id;
      await this.hear(job);
    } catch (error) {
      this.refused(asProblem(error));
    }
  }

  /** A job changed. Its board can be opened as soon as only its files are missing. */
  async hear(job: Job): Promise<void> {
    if (job.id !== this.job_id) return;
    if (job.state === "failed" || job.state === "cancelled") this.refused(job.error);
    else if (job.labelling_id && (job.state === "succeeded" || job.stage === "tables")) await this.arrive(job);
  }

  /** What was missed while the line was cut. */
  async resume(): Promise<void> {
    if (this.job_id) await this.hear(await api.job(this.job_id));
  }

  private async arrive({ clustering_id, labelling_id }: Job): Promise<void> {
    this.job_id = null;
    const split = await api.clustering(clustering_id ?? "").then(
      (made) => made.split,
      () => null, // The board itself says what is wrong.
    );
    this.node_id.value = null;
    if (!labelling_id) return;
    if (split) arrivals.set(labelling_id, split);
    go({ screen: "board", labelling: labelling_id });
  }

  private refused(problem: Problem | null): void {
    const why = problem ? [titleOf(problem), problem.detail].filter(Boolean).join(". ") : "The split was cancelled";
    this.notice.value = { text: `Cluster ${this.node_id.value} is as it was. ${why}` };
    this.job_id = null;
    this.node_id.value = null;
  }
}
