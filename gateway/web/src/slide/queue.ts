// Fetches what is wanted now, a few at a time, first things first; what is wanted no more is given up.

export interface Wish {
  name: string;
  fetch: (signal: AbortSignal) => Promise<void>;
}

export class Queue {
  private readonly coming = new Map<string, AbortController>();
  private readonly settled = new Set<string>();
  private wishes: readonly Wish[] = [];

  /** `onFailure` hears of each wish that failed once; it is not tried again. */
  constructor(
    private readonly atOnce: number,
    private readonly onFailure: (error: unknown) => void,
  ) {}

  want(wishes: readonly Wish[]): void {
    this.wishes = wishes.filter((wish) => !this.settled.has(wish.name));
    const names = new Set(this.wishes.map((wish) => wish.name));
    for (const [name, abort] of this.coming) if (!names.has(name)) abort.abort();
    this.next();
  }

  /** Something was dropped and may be wished for again. */
  forget(name: string): void {
    this.settled.delete(name);
  }

  private next(): void {
    for (const wish of this.wishes) {
      if (this.coming.size >= this.atOnce) return;
      if (!this.coming.has(wish.name) && !this.settled.has(wish.name)) void this.run(wish);
    }
  }

  private async run({ name, fetch }: Wish): Promise<void> {
    const abort = new AbortController();
    this.coming.set(name, abort);
    try {
      await fetch(abort.signal);
      this.settled.add(name);
    } catch (error) {
      if (!abort.signal.aborted) {
        this.settled.add(name);
        this.onFailure(error);
      }
    } finally {
      this.coming.delete(name);
      this.next();
    }
  }

  close(): void {
    this.want([]);
  }
}
