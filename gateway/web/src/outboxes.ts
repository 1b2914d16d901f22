// The outboxes of this window. It takes over the words that an earlier one left behind when it was closed or loaded anew.
import { computed, effect, signal } from "@preact/signals";
import { api } from "./api";
import { type KeptWord, Outbox, type Post } from "./outbox";
import { keep, keysBelow, newName, read } from "./storage";

const UNSENT = "morula.unsent/";
const PAUSES_MS = [1000, 2000, 4000, 8000];
const WINDOW = newName();

const post: Post = {
  say: api.say,
  events: api.events,
  labelling: api.labelling,
  pause: (attempt) => new Promise((resolve) => setTimeout(resolve, PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)])),
};

const open = signal<ReadonlyMap<string, Outbox>>(new Map());

export function outboxOf(labelling: string): Outbox {
  const known = open.value.get(labelling);
  if (known) return known;
  const made = new Outbox(labelling, `${UNSENT}${labelling}/${WINDOW}`, post);
  open.value = new Map(open.value).set(labelling, made);
  return made;
}

/** All words that the gateway does not have yet, whichever labelling they are of. */
export const unsent = computed(() => {
  const boxes = [...open.value.values()].filter((box) => box.words.value.length > 0);
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
export const refusals = computed(() => [...open.value.values()].flatMap((box) => box.refused.value));

export function dismissRefusals(): void {
  for (const box of open.value.values()) box.dismiss(box.refused.value);
}

export function tryNow(): void {
  for (const box of open.value.values()) box.tryNow();
}

/** A living window holds the lock of its name, so that no other takes over its words. */
void hold(WINDOW, () => new Promise<void>(() => undefined));

const PATIENCE_MS = 300;

/** Resolves when the words of closed windows are taken over; it does not wait for windows that are open. */
export const takenOver: Promise<unknown> = Promise.all(
  keysBelow(UNSENT).map((place) => {
    const [, labelling = "", window = ""] = place.split("/");
    const gone = hold(window, () => adopt(place, labelling));
    return Promise.race([gone, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
  }),
);

globalThis.addEventListener("online", tryNow);

async function hold(window: string, work: () => Promise<void>): Promise<void> {
  // Without locks (no secure context) every window counts as gone; the gateway refuses what is said twice.
  if (!("locks" in navigator)) return window === WINDOW ? undefined : work();
  await navigator.locks.request(`${UNSENT}${window}`, work);
}

async function adopt(place: string, labelling: string): Promise<void> {
  const words = read(place, isWords);
  if (words) outboxOf(labelling).adopt(words);
  keep(place, null);
}

function isWords(value: unknown): value is KeptWord[] {
  return Array.isArray(value) && value.every((one) => typeof one === "object" && one !== null && "event" in one);
}
