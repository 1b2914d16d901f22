// Slides, their newest jobs, and what is being uploaded now.
import { computed, effect, signal } from "@preact/signals";
import { api, asProblem, titleOf, upload } from "../api";
import type { Gone } from "../events";
import type { Choices, Job, Model, Problem, Slide } from "../types";
import type { Note } from "../ui/notes";
import { type Dropped, slideSets } from "./sets";

export interface Upload {
  id: number;
  name: string;
  files: readonly Dropped[];
  /** Null while it waits for its turn. */
  share: number | null;
  problem: Problem | null;
  signal: AbortSignal;
  cancel: () => void;
}

const UPLOADS_AT_ONCE = 2;

/** A slide's row: its newest job, and why the last wish about it was refused. */
export interface Row {
  slide: Slide;
  job: Job | null;
  refusal: Problem | null;
}

export class Home {
  readonly slides = signal<readonly Slide[] | null>(null);
  readonly jobs = signal<ReadonlyMap<string, Job>>(new Map());
  readonly uploads = signal<readonly Upload[]>([]);
  readonly refusals = signal<ReadonlyMap<string, Problem>>(new Map());
  readonly problem = signal<Problem | null>(null);
  readonly rows = computed<readonly Row[]>(() => rowsOf(this.slides.value ?? [], this.jobs.value, this.refusals.value));
  /** Files of the last drop that belong to no slide. */
  readonly rest = signal<readonly string[]>([]);
  readonly note = signal<Note | null>(null);
  readonly models = signal<readonly Model[]>([]);
  /** How cells of slides are found that are added from now on. */
  readonly chosen = signal<Choices>({});
  /** The same of slides whose scale has to be asked for first. */
  private readonly waiting = new Map<string, Choices>();
  private readonly sending = new Set<Promise<void>>();
  private uploadCount = 0;

  constructor() {
    // Closing the window during an upload asks first.
    effect(() => {
      const isSending = this.uploads.value.some((one) => !one.problem);
      window.onbeforeunload = isSending ? (event) => event.preventDefault() : null;
    });
  }

  async load(): Promise<void> {
    try {
      const [slides, jobs, models] = await Promise.all([api.slides(), api.jobs(), api.models()]);
      this.models.value = models;
      this.slides.value = slides;
      this.jobs.value = new Map(jobs.map((job) => [job.id, job]));
      this.problem.value = null;
    } catch (error) {
      // What is shown stays.
      if (this.slides.value) this.note.value = { text: titleOf(asProblem(error)) };
      else this.problem.value = asProblem(error);
    }
  }

  hearJob(job: Job): void {
    const before = this.jobs.value.get(job.id);
    this.jobs.value = new Map(this.jobs.value).set(job.id, job);
    const isNew = !this.slides.value?.some((slide) => slide.id === job.slide_id);
    // A job that ends leaves a board, which the slide tells of.
    if (job.slide_id && (isNew || before?.state !== job.state)) void this.loadSlide(job.slide_id);
    if (before && before.state !== "succeeded" && job.state === "succeeded") void this.loadModels();
  }

  /** They are timed by what they do. */
  private async loadModels(): Promise<void> {
    try {
      this.models.value = await api.models();
    } catch (error) {
      this.note.value = { text: titleOf(asProblem(error)) };
    }
  }

  private async loadSlide(id: string): Promise<void> {
    try {
      this.hearSlide(await api.slide(id));
    } catch (error) {
      const problem = asProblem(error);
      if (problem.status === 404) this.hearDeleted({ kind: "slide", id });
      else this.note.value = { text: titleOf(problem) };
    }
  }

  hearDeleted({ kind, id }: Gone): void {
    if (kind === "slide") this.slides.value = this.slides.value?.filter((slide) => slide.id !== id) ?? null;
    const jobs = new Map(this.jobs.value);
    if (kind === "job" && jobs.delete(id)) this.jobs.value = jobs;
    const isOf = (slide: Slide) => slide.labellings.some((board) => board.id === id || board.job_id === id);
    const shown = this.slides.value?.find(isOf);
    if (kind !== "slide" && shown) void this.loadSlide(shown.id);
  }

  /** Asks for it to go; the stream tells when it has gone. */
  async remove(kind: Gone["kind"], id: string, slide: Slide): Promise<void> {
    await this.wish(slide.id, async () => {
      if (await api.remove(kind, id)) this.hearDeleted({ kind, id });
      else await this.load();
    });
  }

  hearSlide(slide: Slide): void {
    const others = (this.slides.value ?? []).filter((one) => one.id !== slide.id);
    this.slides.value = [slide, ...others];
  }

  /** One request for each slide, its job starts by itself; a notice names what is no slide, and it is not sent. */
  async add(dropping: Promise<readonly Dropped[]>): Promise<void> {
    const sets = await dropping.then(slideSets).catch((error: Error) => {
      this.note.value = { text: `What was dropped cannot be read: ${error.message}` };
    });
    if (!sets) return;
    const { slides, rest } = sets;
    this.rest.value = rest;
    const entries = slides.map(({ entry, files }) => this.enter(entry, files));
    this.uploads.value = [...this.uploads.value, ...entries];
    await Promise.all(entries.map((entry) => this.sendInTurn(entry)));
  }

  private enter(name: string, files: readonly Dropped[]): Upload {
    const abort = new AbortController();
    const id = ++this.uploadCount;
    const cancel = () => {
      abort.abort();
      this.dismiss(id);
    };
    return { id, name, files, share: null, problem: null, signal: abort.signal, cancel };
  }

  again(upload: Upload): Promise<void> {
    this.change(upload.id, { problem: null, share: null });
    return this.sendInTurn(upload);
  }

  /** A few at a time; the others wait, so that the gateway refuses none. */
  private async sendInTurn(upload: Upload): Promise<void> {
    while (this.sending.size >= UPLOADS_AT_ONCE) await Promise.race(this.sending);
    if (upload.signal.aborted) return;
    const sending = this.send(upload).finally(() => this.sending.delete(sending));
    this.sending.add(sending);
    await sending;
  }

  private async send({ id, files, signal: aborted }: Upload): Promise<void> {
    try {
      const slide = await upload(files, (share) => this.change(id, { share }), aborted);
      this.dismiss(id);
      if (this.slides.value?.some((one) => one.id === slide.id))
        this.note.value = { text: `${slide.name} is here already` };
      this.hearSlide(slide);
      await this.start(slide.id);
    } catch (error) {
      if (!aborted.aborted) this.change(id, { problem: asProblem(error) });
    }
  }

  private change(id: number, to: Partial<Upload>): void {
    this.uploads.value = this.uploads.value.map((one) => (one.id === id ? { ...one, ...to } : one));
  }

  dismiss(id: number): void {
    this.uploads.value = this.uploads.value.filter((one) => one.id !== id);
  }

  start(slide_id: string, slide_mpp?: number): Promise<void> {
    const chosen = this.waiting.get(slide_id) ?? this.chosen.value;
    const asked = slide_mpp === undefined ? chosen : { ...chosen, slide_mpp };
    return this.wish(slide_id, async () => this.hearJob(await api.startJob(slide_id, asked)));
  }

  /** Why it is refused to look for a slide's cells like this; null where it is not. */
  async ask(slide: Slide, chosen: Choices): Promise<Problem | null> {
    this.waiting.set(slide.id, chosen);
    const before = this.rows.value.find((row) => row.slide.id === slide.id)?.job;
    await this.start(slide.id);
    const refusal = this.refusals.value.get(slide.id) ?? null;
    if (asksForScale(refusal)) return null;
    this.waiting.delete(slide.id);
    this.refuse(slide.id, null);
    const after = this.rows.value.find((row) => row.slide.id === slide.id)?.job;
    if (!refusal && before && before.id === after?.id)
      this.note.value = { text: `${slide.name} was run like this before: that run is there` };
    return refusal;
  }

  cancel(job: Job): Promise<void> {
    return this.wish(job.slide_id ?? job.id, async () => this.hearJob(await api.cancelJob(job.id)));
  }

  retry(job: Job): Promise<void> {
    return this.wish(job.slide_id ?? job.id, async () => this.hearJob(await api.retryJob(job.id)));
  }

  private async wish(about: string, ask: () => Promise<void>): Promise<void> {
    const refused = await ask().then(
      () => null,
      (error: unknown) => asProblem(error),
    );
    this.refuse(about, refused);
  }

  private refuse(about: string, refused: Problem | null): void {
    const refusals = new Map(this.refusals.value);
    refusals.delete(about);
    this.refusals.value = refused ? refusals.set(about, refused) : refusals;
  }
}

export function asksForScale(problem: Problem | null): boolean {
  return problem?.reason === "SLIDE_SCALE_UNKNOWN";
}

const OF_ITS_MODELS = ["MODEL_UNAVAILABLE", "LICENCE_FORBIDS"];

/** A retry keeps to the models that a job began with, and they are no longer here, or may not be used. */
export function needsNewJob(job: Job): boolean {
  return job.state === "failed" && OF_ITS_MODELS.includes(job.error?.reason ?? "");
}

export function rowsOf(
  slides: readonly Slide[],
  jobs: ReadonlyMap<string, Job>,
  refusals: ReadonlyMap<string, Problem>,
): Row[] {
  const newest = new Map<string, Job>();
  for (const job of jobs.values()) {
    const other = job.slide_id === null ? undefined : newest.get(job.slide_id);
    if (job.slide_id !== null && (!other || job.created_at >= other.created_at)) newest.set(job.slide_id, job);
  }
  return [...slides]
    .sort((a, b) => b.created_at.localeCompare(a.created_at))
    .map((slide) => ({ slide, job: newest.get(slide.id) ?? null, refusal: refusals.get(slide.id) ?? null }));
}
