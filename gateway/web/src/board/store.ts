// The board's state: what the gateway said last, the page in focus, and what the person is about to say about it.
import { batch, computed, effect, signal } from "@preact/signals";
import { api, asProblem, isAway, titleOf, type Wanted } from "../api";
import { outboxOf, takenOver } from "../outboxes";
import type { Clustering, Clusters, Klass, Labelling, Page, Problem, Slide } from "../types";
import type { Note } from "../ui/notes";
import { arrival, Changing } from "./changing";
import {
  accepted,
  type Choice,
  canAccept,
  deferred,
  type Mark,
  marksIn,
  named,
  ODD,
  type PageNamed,
  UNDECIDED,
} from "./decide";
import { Drafts } from "./drafts";
import { newestBeside } from "./earlier";
import { painted, pictured } from "./shown";
import { seen, type Turn } from "./turn";
import { changeSentence, newClusters, type Wish } from "./words";

const RESUME_MS = 2000;

export class Board {
  readonly labelling = signal<Labelling | null>(null);
  readonly clustering = signal<Clustering | null>(null);
  readonly clusters = signal<Clusters | null>(null);
  readonly slides = signal<ReadonlyMap<string, Slide>>(new Map());
  /** Why there is no board at all. */
  readonly problem = signal<Problem | null>(null);
  readonly notice = signal<Note | null>(null);
  readonly finished = signal(false);
  readonly turns = signal<readonly Turn[]>([]);
  readonly at = signal(0);
  readonly turn = computed(() => this.turns.value[this.at.value] ?? null);
  readonly classes = computed<readonly Klass[]>(() => this.labelling.value?.label_set.classes ?? []);
  readonly outbox;
  readonly changing;
  private readonly working = signal(0);
  private readonly arriving = signal(0);
  /** The page in focus was named just now and the next one has not come: keys are meant for that one. */
  private readonly isDone = signal(false);
  readonly busy = computed(() => this.working.value > 0 || this.outbox.words.value.length > 0);
  /** The page in focus is on the screen and can be named. */
  readonly ready = computed(
    () =>
      this.arriving.value === 0 && !this.isDone.value && this.turn.value !== null && this.turn.value.state !== "unsent",
  );
  private readonly drafts: Drafts;
  private isShown = false;
  private resuming: ReturnType<typeof setTimeout> | undefined;
  private queue: Promise<void> = Promise.resolve();
  /** Counts the person's wishes, so that a page asked for earlier does not replace a later one. */
  private wish = 0;

  constructor(readonly id: string) {
    this.outbox = outboxOf(id);
    this.changing = new Changing(this.outbox, this.notice);
    this.drafts = new Drafts(id);
  }

  /** Follows what its words change. Returns a function that stops that. */
  follow(): () => void {
    this.isShown = true;
    const stop = effect(() => {
      const labelling = this.outbox.newest.value;
      if (labelling) this.take(labelling);
    });
    return () => {
      this.isShown = false;
      clearTimeout(this.resuming);
      stop();
    };
  }

  /** The page comes first and can be named at once; the clusters below it may take a moment longer. */
  async load(): Promise<void> {
    this.problem.value = null;
    try {
      // Unsent words first: else the next page would be the one that they name.
      await takenOver;
      this.outbox.tryNow();
      await this.outbox.still();
      const labelling = await this.ask();
      this.clustering.value = await api.clustering(labelling.clustering_id);
      this.take(labelling);
    } catch (error) {
      this.problem.value ??= asProblem(error);
      this.resumeLater(this.problem.value);
      return;
    }
    await this.act(() => this.showFirst());
    await this.act(async () => {
      await Promise.all([this.loadSlides(), this.loadClusters()]);
    });
  }

  /** The labelling as it is now. Where it was deleted, also while nobody listened, the board is gone. */
  private async ask(): Promise<Labelling> {
    try {
      return await api.labelling(this.id);
    } catch (error) {
      if (asProblem(error).status === 404) this.gone();
      throw error;
    }
  }

  /** One after the other. A refusal is shown as a notice; the page stays as it is. */
  private act(work: () => Promise<void>): Promise<void> {
    this.working.value += 1;
    const done = this.queue
      .then(work)
      .catch((error: unknown) => this.tell(asProblem(error)))
      .finally(() => {
        this.working.value -= 1;
      });
    this.queue = done;
    return done;
  }

  private tell(problem: Problem): void {
    if (this.problem.value) return; // There is no board any more, which says so.
    const text = [titleOf(problem), problem.detail].filter(Boolean).join(". ");
    const stands = this.turn.value?.state === "open";
    this.notice.value = stands ? { text } : { text, action: { label: "Try again", act: () => void this.resume() } };
    if (!stands) this.resumeLater(problem);
  }

  /** If the gateway or a service is only away, the board loads by itself later. */
  private resumeLater(problem: Problem): void {
    clearTimeout(this.resuming);
    if (this.isShown && isAway(problem)) this.resuming = setTimeout(() => void this.resume(), RESUME_MS);
  }

  /** The newest of two answers stays, in whatever order they come. */
  private take(labelling: Labelling): void {
    if (labelling.seq >= (this.labelling.peek()?.seq ?? 0)) this.labelling.value = labelling;
  }

  private async loadSlides(): Promise<void> {
    const slides = await Promise.all((this.clustering.value?.slides ?? []).map((one) => api.slide(one.slide_id)));
    this.slides.value = new Map(slides.map((slide) => [slide.id, slide]));
  }

  private async loadClusters(): Promise<void> {
    const labelling = this.labelling.value;
    if (labelling) this.clusters.value = await api.clusters(labelling.clustering_id, labelling.cluster_count);
  }

  /** After a change the board begins with the largest cluster that it made. */
  private async showFirst(): Promise<void> {
    const changed = arrival(this.id);
    await this.showPage(changed && newClusters(changed)[0]);
    if (changed) this.notice.value = { text: changeSentence(changed) };
  }

  /** A page takes the old one's place when it can be seen whole, and can be named when it is on the screen. */
  private async showPage(of?: Wanted): Promise<void> {
    const wish = ++this.wish;
    this.arriving.value += 1;
    try {
      // Where every cell of the cluster was seen another page comes.
      const page = (await api.page(this.id, of)) ?? (of === undefined ? null : await api.page(this.id));
      if (page) await pictured(page);
      if (wish !== this.wish) return;
      this.put(page && { page, choice: this.drafts.of(page), state: "open", seq: null });
      await painted();
    } finally {
      this.arriving.value -= 1;
    }
  }

  private put(turn: Turn | null): void {
    const past = this.turns.value.filter((one) => one.state !== "open");
    batch(() => {
      this.isDone.value = false;
      this.finished.value = turn === null;
      this.turns.value = turn ? [...past, turn] : past;
      this.at.value = past.length;
    });
  }

  private change(page: Page, to: Partial<Turn>): void {
    this.turns.value = this.turns.value.map((turn) => (turn.page === page ? { ...turn, ...to } : turn));
  }

  decide(choice: Choice): void {
    const turn = this.turn.value;
    if (!turn || turn.state === "unsent") return;
    this.change(turn.page, { choice });
    if (turn.state !== "named") this.drafts.keep(turn.page, choice);
  }

  move(step: number): void {
    const last = this.turns.value.length - (this.finished.value ? 0 : 1);
    const to = this.at.value + step;
    if (to < 0) void this.act(() => this.showEarlier());
    else if (to <= last) this.focus(to);
    else if (this.turn.value?.state !== "open") void this.act(() => this.showPage());
  }

  private focus(at: number): void {
    batch(() => {
      this.isDone.value = false;
      this.at.value = at;
    });
  }

  /** Goes behind the first page that is here: to what an earlier window named, or another one. */
  private async showEarlier(): Promise<void> {
    this.arriving.value += 1;
    try {
      const shown = this.turns.value.map(({ page }) => page.cells.map((cell) => cell.row));
      const named = newestBeside(await api.events(this.id), shown);
      if (!named) {
        this.notice.value = { text: "No page was named before this one" };
        return;
      }
      const page = await api.namedPage(this.id, named.seq);
      await pictured(page);
      const choice = { ...UNDECIDED, earlier: marksIn(named) };
      batch(() => {
        this.turns.value = [{ page, choice, state: "named", seq: named.seq }, ...this.turns.value];
        this.focus(this.at.value === 0 ? 0 : this.at.value + 1);
      });
      await painted();
    } finally {
      this.arriving.value -= 1;
    }
  }

  accept(): void {
    const turn = this.turn.value;
    if (turn && canAccept(turn.page, turn.choice)) void this.sayPage(accepted(seen(turn), turn.choice, this.version));
  }

  name(class_number: number): void {
    const turn = this.turn.value;
    if (turn) void this.sayPage(named(seen(turn), turn.choice, this.version, class_number));
  }

  defer(): void {
    const turn = this.turn.value;
    if (turn) void this.sayPage(deferred(seen(turn), this.version));
  }

  private get version(): number {
    return this.labelling.value?.version ?? 0;
  }

  private async sayPage(event: PageNamed): Promise<void> {
    const turn = this.turn.value;
    if (!turn || !this.ready.value) return;
    const wish = ++this.wish;
    this.notice.value = null;
    this.change(turn.page, { state: "unsent" });
    const outcome = await this.outbox.say(event, seen(turn).seq);
    const choice = { ...turn.choice, earlier: marksIn(event) };
    if ("problem" in outcome) return this.refused(turn.page, choice);
    this.drafts.forget(turn.page);
    const before = turn.state === "named" ? turn : undefined;
    this.change(turn.page, { state: "named", seq: outcome.seq, choice, before });
    if (wish !== this.wish) return;
    this.isDone.value = true;
    await this.act(() => this.showPage());
  }

  /** A refused page stays in reach of the arrow keys, with the labels that others gave: a new word would change those. */
  private async refused(page: Page, choice: Choice): Promise<void> {
    this.change(page, { state: "refused", choice });
    await this.act(async () => {
      const now = await this.ask();
      this.take(now);
      const others = new Map([...now.odd.map(([row]): [number, Mark] => [row, ODD]), ...now.marks]);
      this.change(page, { page: { ...page, seq: now.seq }, seq: null, others });
      await this.showPage();
    });
  }

  /** Takes the last word back, when all words before it have arrived. */
  undo(): Promise<void> {
    this.wish += 1;
    this.notice.value = null;
    return this.act(async () => {
      await this.outbox.still();
      const before = this.labelling.value;
      if (this.outbox.words.value.length > 0) this.notice.value = { text: "Undo waits until everything said is sent" };
      else if (before?.last_event && before.can_undo) await this.takeBack(before, before.last_event);
    });
  }

  private async takeBack(before: Labelling, last: { seq: number; kind: string }): Promise<void> {
    const outcome = await this.outbox.say({ kind: "undone", body: { seq: last.seq } }, before.seq);
    if ("problem" in outcome) {
      this.take(await this.ask());
      return;
    }
    const undone = this.turns.value.find((turn) => turn.seq === last.seq);
    if (undone?.before) this.restore(undone, undone.before);
    else if (undone) this.reopen(undone);
    else if (last.kind === "page_named") await this.showPage();
  }

  /** The page has its earlier name again; what was open stays. */
  private restore(undone: Turn, before: Turn): void {
    this.turns.value = this.turns.value.map((turn) => (turn === undone ? before : turn));
    this.focus(this.turns.value.indexOf(before));
  }

  private reopen(undone: Turn): void {
    this.turns.value = this.turns.value.filter((turn) => turn !== undone);
    const { marks, selected } = undone.choice;
    this.put({ ...undone, state: "open", seq: null, choice: { marks, selected } });
    this.drafts.keep(undone.page, undone.choice);
  }

  open(of: Wanted): void {
    this.notice.value = null;
    void this.act(() => this.showPage(of));
  }

  async nameCluster(node_id: number, class_number: number | null): Promise<void> {
    const outcome = await this.outbox.say(
      { kind: "cluster_named", body: { node_id, class_number } },
      this.labelling.value?.seq ?? 0,
    );
    if ("problem" in outcome) await this.hear();
  }

  changeClusters(wish: Wish): void {
    void this.act(() => this.changing.ask(this.labelling.value, wish));
  }

  cut(cluster_count: number): void {
    void this.act(async () => {
      await api.setCut(this.id, cluster_count);
      this.take(await this.ask());
      await Promise.all([this.loadClusters(), this.showPage()]);
    });
  }

  /** Why it was refused, for the field that asked; null where it was not. */
  async changeClasses(change: (set_id: string) => Promise<unknown>): Promise<Problem | null> {
    try {
      await change(this.labelling.value?.label_set.id ?? "");
      this.take(await this.ask());
      return null;
    } catch (error) {
      return asProblem(error);
    }
  }

  /** Another window said something, or the labeller caught up. A page that others named is not taken away under a hand. */
  async hear(): Promise<void> {
    if (!this.labelling.value) return;
    await this.ask().then(
      (now) => this.heard(now),
      (error: unknown) => this.tell(asProblem(error)),
    );
  }

  private heard(now: Labelling): void {
    this.take(now);
    const turn = this.turn.value;
    const spoken = new Set([...now.marks, ...now.odd].map(([row]) => row));
    if (turn?.state === "open" && turn.page.seq < now.seq && turn.page.cells.every((cell) => spoken.has(cell.row))) {
      const action = { label: "Next page", act: () => void this.act(() => this.showPage()) };
      this.notice.value = { text: `Page ${turn.page.number} was named elsewhere meanwhile`, action };
    }
  }

  /** Nothing of it stays on the screen: it cannot be named, undone or exported any more. */
  gone(): void {
    batch(() => {
      this.problem.value = { title: "This board was deleted", status: 404, detail: "The slide may have others." };
      this.labelling.value = null;
      this.turns.value = [];
      this.notice.value = null;
    });
  }

  /** The gateway answers again: what waited goes on. */
  async resume(): Promise<void> {
    if (this.problem.value) return this.load();
    this.notice.value = null;
    await this.hear();
    await this.act(() => this.changing.resume());
    if (this.turn.value?.state !== "open" && !this.busy.value) await this.act(() => this.showPage());
    if (!this.clusters.value)
      await this.act(() => Promise.all([this.loadSlides(), this.loadClusters()]).then(() => undefined));
  }
}
