// Clusters that are being changed: a job makes another clustering, and its board takes this one's place when it is there.
import { type Signal, signal } from "@preact/signals";
import { api, asProblem, titleOf } from "../api";
import type { LabelOutbox } from "../label_outbox";
import { go } from "../route";
import type { Job, Labelling, Problem } from "../types";
import type { Note } from "../ui/notes";
import { type Changed, type Wish, wishWords } from "./words";

/** What was changed just now, by the board that it led to: that board begins with what is new. */
const arrivals = new Map<string, Changed>();

/** What the person had changed before they came to this board; told once. */
export function arrival(labelling_id: string): Changed | undefined {
  const changed = arrivals.get(labelling_id);
  arrivals.delete(labelling_id);
  return changed;
}

export class Changing {
  /** What is under way. */
  readonly wish = signal<Wish | null>(null);
  /** Whether the rest is to be grouped anew is being asked. */
  readonly isAsking = signal(false);
  private job_id: string | null = null;

  constructor(
    private readonly outbox: LabelOutbox,
    private readonly notice: Signal<Note | null>,
  ) {}

  /** Asks for it when everything that was said has arrived: it comes along. */
  async ask(labelling: Labelling | null, wish: Wish): Promise<void> {
    if (!labelling || this.wish.value !== null) return;
    await this.outbox.still();
    const words = wishWords(wish);
    if (this.outbox.words.value.length > 0) {
      this.notice.value = { text: words.waits };
      return;
    }
    this.wish.value = wish;
    this.notice.value = { text: words.begun };
    try {
      const job = await this.send(labelling, wish);
      this.job_id = job.id;
      await this.hear(job);
    } catch (error) {
      this.refused(asProblem(error));
    }
  }

  private send({ clustering_id, id }: Labelling, wish: Wish): Promise<Job> {
    if (wish.kind === "split") return api.split(clustering_id, wish.node_id, id);
    return api.regroup(clustering_id, wish.cluster_count, id);
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
    const changed = await api.clustering(clustering_id ?? "").catch(() => null); // The board itself says what is wrong.
    this.wish.value = null;
    if (!labelling_id) return;
    if (changed) arrivals.set(labelling_id, changed);
    go({ screen: "board", labelling: labelling_id });
  }

  private refused(problem: Problem | null): void {
    const why = problem ? [titleOf(problem), problem.detail].filter(Boolean).join(". ") : "The job was cancelled";
    if (this.wish.value) this.notice.value = { text: `${wishWords(this.wish.value).stays} ${why}` };
    this.job_id = null;
    this.wish.value = null;
  }
}
