// Slides, their newest jobs, and what is being uploaded now.
import { computed, signal } from "@preact/signals";
import { api, asProblem, upload } from "../api";
import type { Job, Problem, Slide } from "../types";

export interface Upload {
  id: number;
  name: string;
  share: number;
  problem: Problem | null;
  cancel: () => void;
}

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
  private uploadCount = 0;

  async load(): Promise<void> {
    try {
      const [slides, jobs] = await Promise.all([api.slides(), api.jobs()]);
      this.slides.value = slides;
      this.jobs.value = new Map(jobs.map((job) => [job.id, job]));
      this.problem.value = null;
    } catch (error) {
      this.problem.value = asProblem(error);
    }
  }

  hearJob(job: Job): void {
    this.jobs.value = new Map(this.jobs.value).set(job.id, job);
    if (job.slide_id && !this.slides.value?.some((slide) => slide.id === job.slide_id)) void this.load();
  }

  hearSlide(slide: Slide): void {
    const others = (this.slides.value ?? []).filter((one) => one.id !== slide.id);
    this.slides.value = [slide, ...others];
  }

  /** One slide: one file, or the several files it is made of. The job starts by itself. */
  async add(files: File[]): Promise<void> {
    const first = files[0];
    if (!first) return;
    const abort = new AbortController();
    const id = ++this.uploadCount;
    const entry = { id, name: first.name, share: 0, problem: null, cancel: () => abort.abort() };
    this.uploads.value = [...this.uploads.value, entry];
    try {
      const slide = await upload(files, (share) => this.change(id, { share }), abort.signal);
      this.dismiss(id);
      this.hearSlide(slide);
      await this.start(slide.id);
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") this.dismiss(id);
      else this.change(id, { problem: asProblem(error) });
    }
  }

  private change(id: number, to: Partial<Upload>): void {
    this.uploads.value = this.uploads.value.map((one) => (one.id === id ? { ...one, ...to } : one));
  }

  dismiss(id: number): void {
    this.uploads.value = this.uploads.value.filter((one) => one.id !== id);
  }

  start(slide_id: string, slide_mpp?: number): Promise<void> {
    return this.wish(slide_id, () => api.startJob(slide_id, slide_mpp));
  }

  cancel(job: Job): Promise<void> {
    return this.wish(job.slide_id ?? job.id, () => api.cancelJob(job.id));
  }

  retry(job: Job): Promise<void> {
    return this.wish(job.slide_id ?? job.id, () => api.retryJob(job.id));
  }

  private async wish(about: string, ask: () => Promise<Job>): Promise<void> {
    const refusals = new Map(this.refusals.value);
    refusals.delete(about);
    try {
      this.hearJob(await ask());
    } catch (error) {
      refusals.set(about, asProblem(error));
    }
    this.refusals.value = refusals;
  }
}

export function asksForScale(problem: Problem | null): boolean {
  return problem?.reason === "SLIDE_SCALE_UNKNOWN";
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
