// Everything said waits here until the gateway has it: in order, over a lost connection, a reload and a closed window.
import { effect, signal } from "@preact/signals";
import { asProblem, isAway } from "./api";
import { boundTo, isSame, wasSpokenOf } from "./kinds";
import { keep, newName } from "./storage";
import type { AppendedState, LabelEvent, Labelling, Problem, StoredEvent } from "./types";

export interface Word {
  id: string;
  event: LabelEvent;
  /** The newest event that was known when the word was given; for a page, when its cells were shown. */
  expected_seq: number;
  /** It was sent before without an answer: the gateway may have it. */
  tried: boolean;
}

/** A word that was not taken, and why. */
export interface Refusal {
  word: Word;
  problem: Problem;
}

/** As it is stored: a refused word has its problem, until the person dismisses it. */
export type KeptWord = Word & { problem?: Problem };

/** What became of a word: the event `seq` and the labelling with it, in which others may have spoken since; or why it
 * was not taken. */
export type Outcome = { labelling: Labelling; seq: number } | Refusal;

/** The way to the gateway, and how long to wait before it is tried again. */
export interface Post {
  say: (labelling: string, event: LabelEvent, expected_seq: number) => Promise<AppendedState>;
  events: (labelling: string) => Promise<StoredEvent[]>;
  labelling: (labelling: string) => Promise<Labelling>;
  pause: (attempt: number) => Promise<void>;
}

export class Outbox {
  readonly words = signal<readonly Word[]>([]);
  /** The labelling as the last word that arrived left it. */
  readonly newest = signal<Labelling | null>(null);
  /** Words that were not taken, until the person dismisses them. */
  readonly refused = signal<readonly Refusal[]>([]);
  /** Why the first word has not arrived; null while nothing is in its way. */
  readonly away = signal<Problem | null>(null);
  /** False: the words are kept by this page alone, and go with it. */
  readonly isKept = signal(true);
  private readonly answered = new Map<string, (outcome: Outcome) => void>();
  private readonly own = new Set<number>();
  private isSending = false;
  private wake: () => void = () => undefined;

  constructor(
    readonly labelling: string,
    private readonly place: string,
    private readonly post: Post,
  ) {}

  say(event: LabelEvent, expected_seq: number): Promise<Outcome> {
    const word = this.knowingOwn({ id: newName(), event, expected_seq, tried: false });
    return new Promise((resolve) => {
      this.answered.set(word.id, resolve);
      this.keep([...this.words.value, word]);
      void this.send();
    });
  }

  /** Takes over words of a closed window, before this window's own; they may have been sent already. */
  adopt(kept: readonly KeptWord[]): void {
    const refused = kept.flatMap(({ problem, ...word }) => (problem ? [{ word, problem }] : []));
    const words = kept.filter((one) => !one.problem).map((word) => ({ ...word, tried: true }));
    this.refused.value = [...refused, ...this.refused.value];
    this.keep([...words, ...this.words.value]);
    void this.send();
  }

  dismiss(refusals: readonly Refusal[]): void {
    this.refused.value = this.refused.value.filter((one) => !refusals.includes(one));
    this.keep(this.words.value);
  }

  /** Sends at once instead of waiting for the next attempt. */
  tryNow(): void {
    this.away.value = null;
    this.wake();
  }

  /** Resolves when no word is on its way: all were answered, or the gateway is away. */
  still(): Promise<void> {
    return new Promise((resolve) => {
      const stop = effect(() => {
        if (this.words.value.length > 0 && !this.away.value) return;
        resolve();
        queueMicrotask(() => stop());
      });
    });
  }

  private keep(words: readonly Word[]): void {
    this.words.value = words;
    const kept: KeptWord[] = [...this.refused.value.map(({ word, problem }) => ({ ...word, problem })), ...words];
    this.isKept.value = keep(this.place, kept.length > 0 ? kept : null);
  }

  private async send(): Promise<void> {
    if (this.isSending) return;
    this.isSending = true;
    let attempt = 0;
    for (let word = this.words.value[0]; word; word = this.words.value[0]) {
      this.away.value = await this.sendOne(word);
      if (this.away.value) await this.pause(attempt++);
      else attempt = 0;
    }
    this.isSending = false;
  }

  private pause(attempt: number): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      this.wake = resolve;
    });
    return Promise.race([this.post.pause(attempt), woken]);
  }

  /** Why the gateway did not answer, or null. */
  private async sendOne(word: Word): Promise<Problem | null> {
    try {
      const outcome = await this.outcomeOf(word);
      if (outcome) this.settle(word, outcome);
      return null;
    } catch (error) {
      const problem = asProblem(error);
      if (isAway(problem)) this.change({ ...word, tried: true });
      else this.settle(word, { word, problem });
      return isAway(problem) ? problem : null;
    }
  }

  /** Null if the word has to be sent again, because others named other things meanwhile. */
  private async outcomeOf(word: Word): Promise<Outcome | null> {
    try {
      const labelling = await this.post.say(this.labelling, word.event, word.expected_seq);
      return { labelling, seq: labelling.event_seq };
    } catch (error) {
      const problem = asProblem(error);
      if (problem.status !== 412) throw error;
      return await this.reconciled(word, problem);
    }
  }

  private async reconciled(word: Word, problem: Problem): Promise<Outcome | null> {
    const events = await this.post.events(this.labelling);
    const since = events.filter((event) => event.seq > word.expected_seq && !this.own.has(event.seq));
    const arrived = word.tried && since.find((event) => isSame(event, word.event));
    if (arrived) return { labelling: await this.post.labelling(this.labelling), seq: arrived.seq };
    if (boundTo(word.event) !== "nothing" || wasSpokenOf(word.event, since, events)) return { word, problem };
    this.change({ ...word, expected_seq: events.at(-1)?.seq ?? 0 });
    return null;
  }

  private change(word: Word): void {
    this.keep(this.words.value.map((one) => (one.id === word.id ? word : one)));
  }

  private settle(word: Word, outcome: Outcome): void {
    const left = this.words.value.filter((one) => one.id !== word.id);
    if ("labelling" in outcome) this.newest.value = outcome.labelling;
    else this.refused.value = [...this.refused.value, outcome];
    this.keep("labelling" in outcome ? this.after(outcome.seq, left) : left);
    this.answered.get(word.id)?.(outcome);
    this.answered.delete(word.id);
  }

  /** Words given after the one that has just arrived knew of it. */
  private after(seq: number, left: readonly Word[]): readonly Word[] {
    this.own.add(seq);
    return left.map((one) => this.knowingOwn(one));
  }

  /** Whoever gives a word knows of all own words before it, and of what others said only as far as it was shown. */
  private knowingOwn(word: Word): Word {
    let { expected_seq } = word;
    while (this.own.has(expected_seq + 1)) expected_seq += 1;
    return { ...word, expected_seq };
  }
}
