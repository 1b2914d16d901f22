// The outboxes of this window. It takes over the words that an earlier one left behind when it was closed or loaded anew.
import { computed, effect, signal } from "@preact/signals";
import { api } from "./api";
import { wordsFor } from "./kinds";
import { LabelOutbox, type LabelPost } from "./label_outbox";
import { type KeptWord, Outbox, type Post } from "./outbox";
import { keep, keysBelow, newName, read } from "./storage";
import { saidOf } from "./tiles/kinds";
import type { LabelEvent, SampleAppended, SampleWord } from "./types";

const UNSENT = "morula.unsent/";
const PAUSES_MS = [1000, 2000, 4000, 8000];
const WINDOW = newName();

const pause = (attempt: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)]));

const labelPost: LabelPost = { say: api.say, events: api.events, labelling: api.labelling, pause, words: wordsFor };

/** Words of samples carry names of their own: sent again they are the same, and nobody else's are in their way. */
const samplePost: Post<SampleWord, SampleAppended> = { say: api.sayOfSample, pause, words: saidOf };

export type SampleOutbox = Outbox<SampleWord, SampleAppended>;

const boards = signal<ReadonlyMap<string, LabelOutbox>>(new Map());
const samples = signal<ReadonlyMap<string, SampleOutbox>>(new Map());
const all = computed(() => [...boards.value.values(), ...samples.value.values()]);

export function outboxOf(labelling: string): LabelOutbox {
  const known = boards.value.get(labelling);
  if (known) return known;
  const made = new LabelOutbox(labelling, `${UNSENT}${labelling}/${WINDOW}`, labelPost);
  boards.value = new Map(boards.value).set(labelling, made);
  return made;
}

const OF_SAMPLE = "sample:";

export function sampleOutboxOf(sample: string): SampleOutbox {
  const known = samples.value.get(sample);
  if (known) return known;
  const made: SampleOutbox = new Outbox(sample, `${UNSENT}${OF_SAMPLE}${sample}/${WINDOW}`, samplePost);
  samples.value = new Map(samples.value).set(sample, made);
  return made;
}

/** All words that the gateway does not have yet, whichever labelling they are of. */
export const unsent = computed(() => {
  const boxes = all.value.filter((box) => box.words.value.length > 0);
  return {
    count: boxes.reduce((sum, box) => sum + box.words.value.length, 0),
    away: boxes.map((box) => box.away.value).find((problem) => problem !== null) ?? null,
    isKept: boxes.every((box) => box.isKept.value),
  };
});

/** Calls `then` whenever the last word of this window has arrived. Returns a function that stops that. */
export function newlySent(then: () => void): () => void {
  let before = 0;
  return effect(() => {
    const { count } = unsent.value;
    if (before > 0 && count === 0) then();
    before = count;
  });
}

/** Words that were not taken, until the person dismisses them. */
export const refusals = computed(() => all.value.flatMap((box) => box.told()));

export function dismissRefusals(): void {
  for (const box of all.value) box.dismissAll();
}

export function tryNow(): void {
  for (const box of all.value) box.tryNow();
}

/** A living window holds the lock of its name, so that no other takes over its words. */
void hold(WINDOW, () => new Promise<void>(() => undefined));

const PATIENCE_MS = 300;

/** Resolves when the words of closed windows are taken over; it does not wait for windows that are open. */
export const takenOver: Promise<unknown> = Promise.all(
  keysBelow(UNSENT).map((place) => {
    const [, of = "", window = ""] = place.split("/");
    const gone = hold(window, () => adopt(place, of));
    return Promise.race([gone, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
  }),
);

globalThis.addEventListener("online", tryNow);

async function hold(window: string, work: () => Promise<void>): Promise<void> {
  // Without locks (no secure context) every window counts as gone; the gateway refuses what is said twice.
  if (!("locks" in navigator)) return window === WINDOW ? undefined : work();
  await navigator.locks.request(`${UNSENT}${window}`, work);
}

async function adopt(place: string, of: string): Promise<void> {
  if (of.startsWith(OF_SAMPLE)) {
    const words = read(place, isWords<SampleWord>);
    if (words) sampleOutboxOf(of.slice(OF_SAMPLE.length)).adopt(words);
  } else {
    const words = read(place, isWords<LabelEvent>);
    if (words) outboxOf(of).adopt(words);
  }
  keep(place, null);
}

function isWords<E>(value: unknown): value is KeptWord<E>[] {
  return Array.isArray(value) && value.every((one) => typeof one === "object" && one !== null && "event" in one);
}
