// The board's state: what the gateway said last, the page in focus, and what the person is about to say about it.
import { computed, signal } from "@preact/signals";
import { api, asProblem, ProblemError } from "../api";
import type { Clustering, Clusters, Klass, LabelEvent, Labelling, Page, Problem, Slide } from "../types";
import { accepted, type Choice, canAccept, deferred, named, UNDECIDED } from "./decide";

/** A page that was shown: `seq` is the event that named it, null while it is open. */
interface Turn {
  page: Page;
  choice: Choice;
  seq: number | null;
}

export class Board {
  readonly labelling = signal<Labelling | null>(null);
  readonly clustering = signal<Clustering | null>(null);
  readonly clusters = signal<Clusters | null>(null);
  readonly slides = signal<ReadonlyMap<string, Slide>>(new Map());
  readonly problem = signal<Problem | null>(null);
  readonly notice = signal<string | null>(null);
  readonly busy = signal(false);
  readonly finished = signal(false);
  readonly turns = signal<readonly Turn[]>([]);
  readonly at = signal(0);
  readonly turn = computed(() => this.turns.value[this.at.value] ?? null);
  readonly classes = computed<readonly Klass[]>(() => this.labelling.value?.label_set.classes ?? []);

  constructor(readonly id: string) {}

  /** The page comes first and can be named at once; the clusters below it may take a moment longer. */
  async load(): Promise<void> {
    await this.guard(async () => {
      const labelling = await api.labelling(this.id);
      this.clustering.value = await api.clustering(labelling.clustering_id);
      this.labelling.value = labelling;
      await this.nextPage();
    });
    const clustering = this.clustering.value;
    if (this.problem.value || !clustering) return;
    await Promise.all([this.loadSlides(clustering), this.loadClusters()]).catch((error: unknown) => {
      this.problem.value = asProblem(error);
    });
  }

  /** Does one thing at a time; a refusal becomes the board's problem. */
  private async guard(work: () => Promise<void>): Promise<void> {
    if (this.busy.value) return;
    this.busy.value = true;
    this.problem.value = null;
    try {
      await work();
    } catch (error) {
      this.problem.value = asProblem(error);
    } finally {
      this.busy.value = false;
    }
  }

  private async loadSlides(clustering: Clustering): Promise<void> {
    const slides = await Promise.all(clustering.slides.map((one) => api.slide(one.slide_id)));
    this.slides.value = new Map(slides.map((slide) => [slide.id, slide]));
  }

  private async loadClusters(): Promise<void> {
    const labelling = this.labelling.value;
    if (!labelling) return;
    this.clusters.value = await api.clusters(labelling.clustering_id, labelling.cluster_count);
  }

  private async nextPage(node_id?: number): Promise<void> {
    const page = await api.page(this.id, node_id);
    const said = this.turns.value.filter((turn) => turn.seq !== null);
    this.finished.value = page === null;
    this.turns.value = page ? [...said, { page, choice: UNDECIDED, seq: null }] : said;
    this.at.value = said.length;
  }

  decide(choice: Choice): void {
    this.turns.value = this.turns.value.map((turn, index) => (index === this.at.value ? { ...turn, choice } : turn));
  }

  move(step: number): void {
    const last = this.turns.value.length - (this.finished.value ? 0 : 1);
    this.at.value = Math.min(last, Math.max(0, this.at.value + step));
  }

  accept(): Promise<void> {
    const turn = this.turn.value;
    if (!turn || !canAccept(turn.page, turn.choice)) return Promise.resolve();
    return this.sayPage((version) => accepted(turn.page, turn.choice, version));
  }

  name(class_number: number): Promise<void> {
    const turn = this.turn.value;
    return turn ? this.sayPage((version) => named(turn.page, turn.choice, version, class_number)) : Promise.resolve();
  }

  defer(): Promise<void> {
    const turn = this.turn.value;
    return turn ? this.sayPage((version) => deferred(turn.page, version)) : Promise.resolve();
  }

  private sayPage(event: (version: number) => LabelEvent): Promise<void> {
    return this.guard(async () => {
      const index = this.at.value;
      const labelling = await this.say(event(this.labelling.value?.version ?? 0));
      if (!labelling) return;
      this.turns.value = this.turns.value.map((turn, other) =>
        other === index ? { ...turn, seq: labelling.seq } : turn,
      );
      await this.nextPage();
    });
  }

  /** Sends one event; where somebody else was faster, what they said is loaded instead and nothing is overwritten. */
  private async say(event: LabelEvent): Promise<Labelling | null> {
    const before = this.labelling.value;
    if (!before) return null;
    this.notice.value = null;
    try {
      const labelling = await api.say(this.id, event, before.seq);
      this.labelling.value = labelling;
      return labelling;
    } catch (error) {
      if (!(error instanceof ProblemError) || error.problem.status !== 412) throw error;
      this.labelling.value = await api.labelling(this.id);
      await this.nextPage();
      this.notice.value = "Labelled elsewhere meanwhile: loaded again, nothing was overwritten";
      return null;
    }
  }

  undo(): Promise<void> {
    const last = this.labelling.value?.last_event;
    if (!last || !this.labelling.value?.can_undo) return Promise.resolve();
    return this.guard(async () => {
      if (!(await this.say({ kind: "undone", body: { seq: last.seq } }))) return;
      const undone = this.turns.value.find((turn) => turn.seq === last.seq);
      if (undone) this.reopen(undone);
      else if (last.kind === "page_named") await this.nextPage();
    });
  }

  private reopen(undone: Turn): void {
    const others = this.turns.value.filter((turn) => turn.seq !== null && turn !== undone);
    this.turns.value = [...others, { ...undone, seq: null }];
    this.at.value = others.length;
    this.finished.value = false;
  }

  openCluster(node_id: number): Promise<void> {
    return this.guard(() => this.nextPage(node_id));
  }

  nameCluster(node_id: number, class_number: number | null): Promise<void> {
    return this.guard(async () => {
      await this.say({ kind: "cluster_named", body: { node_id, class_number } });
    });
  }

  cut(cluster_count: number): Promise<void> {
    return this.guard(async () => {
      await api.setCut(this.id, cluster_count);
      this.labelling.value = await api.labelling(this.id);
      await Promise.all([this.loadClusters(), this.nextPage()]);
    });
  }

  changeClasses(change: (set_id: string) => Promise<unknown>): Promise<void> {
    return this.guard(async () => {
      const set_id = this.labelling.value?.label_set.id;
      if (set_id) await change(set_id);
      this.labelling.value = await api.labelling(this.id);
    });
  }

  /** Another window said something, or the labeller caught up. */
  async hear(): Promise<void> {
    const before = this.labelling.value;
    if (this.busy.value || !before) return;
    const now = await api.labelling(this.id).catch(() => before);
    if (!this.busy.value && now.seq >= before.seq) this.labelling.value = now;
  }
}
