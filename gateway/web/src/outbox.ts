// Everything said waits here until the gateway has it: in order, over a lost connection, a reload and a closed window.
import { effect, signal } from "@preact/signals";
import { asProblem, isAway } from "./api";
import { keep, newName } from "./storage";
import type { Problem } from "./types";

export interface Word<E> {
  id: string;
  event: E;
  /** The newest event that was known when the word was given; for a page, when its cells were shown. */
  expected_seq: number;
  /** It was sent before without an answer: the gateway may have it. */
  tried: boolean;
}

/** A word that was not taken, and why. */
export interface Refusal<E> {
  word: Word<E>;
  problem: Problem;
}

/** As it is stored: a refused word has its problem, until the person dismisses it. */
export type KeptWord<E> = Word<E> & { problem?: Problem };

/** What became of a word: the event `seq` and the state with it, in which others may have spoken since; or why it
 * was not taken. */
export type Outcome<E, S> = { state: S; seq: number } | Refusal<E>;

/** The way to the gateway, how long to wait before it is tried again, and what a word says, for a person. */
export interface Post<E, S> {
  say: (of: string, event: E, expected_seq: number) => Promise<S & { event_seq: number }>;
  pause: (attempt: number) => Promise<void>;
  words: (event: E) => string;
}

export class Outbox<E, S> {
  readonly words = signal<readonly Word<E>[]>([]);
  /** The state as the last word that arrived left it. */
  readonly newest = signal<S | null>(null);
  /** Words that were not taken, until the person dismisses them. */
  readonly refused = signal<readonly Refusal<E>[]>([]);
  /** Why the first word has not arrived; null while nothing is in its way. */
  readonly away = signal<Problem | null>(null);
  /** False: the words are kept by this page alone, and go with it. */
  readonly isKept = signal(true);
  private readonly answered = new Map<string, (outcome: Outcome<E, S>) => void>();
  protected readonly own = new Set<number>();
  private isSending = false;
  private wake: () => void = () => undefined;

  constructor(
    readonly of: string,
    private readonly place: string,
    protected readonly post: Post<E, S>,
  ) {}

  say(event: E, expected_seq: number): Promise<Outcome<E, S>> {
    const word = this.knowingOwn({ id: newName(), event, expected_seq, tried: false });
    return new Promise((resolve) => {
      this.answered.set(word.id, resolve);
      this.keep([...this.words.value, word]);
      void this.send();
    });
  }

  /** Takes over words of a closed window, before this window's own; they may have been sent already. */
  adopt(kept: readonly KeptWord<E>[]): void {
    const refused = kept.flatMap(({ problem, ...word }) => (problem ? [{ word, problem }] : []));
    const words = kept.filter((one) => !one.problem).map((word) => ({ ...word, tried: true }));
    this.refused.value = [...refused, ...this.refused.value];
    this.keep([...words, ...this.words.value]);
    void this.send();
  }

  dismiss(refusals: readonly Refusal<E>[]): void {
    this.refused.value = this.refused.value.filter((one) => !refusals.includes(one));
    this.keep(this.words.value);
  }

  /** What was not taken, in words. */
  told(): { words: string; problem: Problem }[] {
    return this.refused.value.map(({ word, problem }) => ({ words: this.post.words(word.event), problem }));
  }

  dismissAll(): void {
    this.dismiss(this.refused.value);
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

  private keep(words: readonly Word<E>[]): void {
    this.words.value = words;
    const kept: KeptWord<E>[] = [...this.refused.value.map(({ word, problem }) => ({ ...word, problem })), ...words];
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
  private async sendOne(word: Word<E>): Promise<Problem | null> {
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

  /** Null if the word has to be sent again, changed. */
  protected async outcomeOf(word: Word<E>): Promise<Outcome<E, S> | null> {
    const state = await this.post.say(this.of, word.event, word.expected_seq);
    return { state, seq: state.event_seq };
  }

  protected change(word: Word<E>): void {
    this.keep(this.words.value.map((one) => (one.id === word.id ? word : one)));
  }

  private settle(word: Word<E>, outcome: Outcome<E, S>): void {
    const left = this.words.value.filter((one) => one.id !== word.id);
    if ("state" in outcome) this.newest.value = outcome.state;
    else this.refused.value = [...this.refused.value, outcome];
    this.keep("state" in outcome ? this.after(outcome.seq, left) : left);
    this.answered.get(word.id)?.(outcome);
    this.answered.delete(word.id);
  }

  /** Words given after the one that has just arrived knew of it. */
  private after(seq: number, left: readonly Word<E>[]): readonly Word<E>[] {
    this.own.add(seq);
    return left.map((one) => this.knowingOwn(one));
  }

  /** Whoever gives a word knows of all own words before it, and of what others said only as far as it was shown. */
  private knowingOwn(word: Word<E>): Word<E> {
    let { expected_seq } = word;
    while (this.own.has(expected_seq + 1)) expected_seq += 1;
    return { ...word, expected_seq };
  }
}
