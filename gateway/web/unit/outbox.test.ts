import { describe, expect, test } from "vitest";
import { ProblemError } from "../src/api";
import { LabelOutbox } from "../src/label_outbox";
import type { Word } from "../src/outbox";
import { read } from "../src/storage";
import type { AppendedState, LabelEvent, Labelling, StoredEvent } from "../src/types";

const cell = (row: number, class_number = 1): LabelEvent => ({ kind: "cell_set", body: { row, class_number } });

/** A gateway in small: a log, the guard of `expected_seq`, and a line that can break before or after it has written.
 * Others may speak after a word was written and before it is answered, and while a log is read. */
class Gateway {
  readonly log: StoredEvent[] = [];
  line: "up" | "down" | "answers are lost" = "up";
  refusal: number | null = null;
  private readonly meanwhile: LabelEvent[] = [];
  private readonly pauses: (() => void)[] = [];

  readonly post = {
    say: async (_: string, event: LabelEvent, expected_seq: number): Promise<AppendedState> => {
      if (this.line === "down") throw new TypeError("no line");
      if (this.refusal) throw new ProblemError({ title: "Refused", status: this.refusal });
      if (expected_seq !== this.log.length) throw new ProblemError({ title: "Stale", status: 412 });
      const event_seq = this.write(event);
      this.hearOthers();
      if (this.line === "answers are lost") throw new TypeError("no answer");
      return { ...this.state(), event_seq };
    },
    events: async () => {
      const read = [...this.log];
      this.hearOthers();
      return read;
    },
    labelling: async () => this.state(),
    words: () => "a word",
    pause: () => new Promise<void>((resolve) => this.pauses.push(resolve)),
  };

  write(event: LabelEvent): number {
    return this.log.push({ ...event, seq: this.log.length + 1 });
  }

  /** Somebody else says this while the next request is on its way. */
  othersSay(event: LabelEvent): void {
    this.meanwhile.push(event);
  }

  private hearOthers(): void {
    for (const event of this.meanwhile.splice(0)) this.write(event);
  }

  private state(): Labelling {
    return { seq: this.log.length } as Labelling;
  }

  /** The line is mended and the next attempt is due. */
  mend(): void {
    this.line = "up";
    for (const due of this.pauses.splice(0)) due();
  }

  bodies(): unknown[] {
    return this.log.map((event) => event.body);
  }
}

function opened(gateway: Gateway): LabelOutbox {
  return new LabelOutbox("one", `morula.unsent/one/${crypto.randomUUID()}`, gateway.post);
}

const row = (number: number) => cell(number).body;

describe("the outbox", () => {
  test("keeps words while the gateway is away and sends them in order, each once", async () => {
    const gateway = new Gateway();
    const outbox = opened(gateway);
    gateway.line = "down";
    const outcomes = [1, 2, 3].map((number) => outbox.say(cell(number), 0));
    await outbox.still();
    expect(outbox.away.value?.status).toBe(0);
    expect(outbox.words.value).toHaveLength(3);
    gateway.mend();
    await Promise.all(outcomes);
    expect(gateway.bodies()).toEqual([row(1), row(2), row(3)]);
    expect([outbox.words.value, outbox.away.value]).toEqual([[], null]);
  });

  test("does not say twice what arrived while the answer was lost", async () => {
    const gateway = new Gateway();
    const outbox = opened(gateway);
    gateway.line = "answers are lost";
    const outcome = outbox.say(cell(1), 0);
    await outbox.still();
    gateway.mend();
    expect(await outcome).toMatchObject({ state: { seq: 1 } });
    expect(gateway.bodies()).toEqual([row(1)]);
  });

  test("a word that others did not touch is said after theirs, one on the same cell is refused", async () => {
    const gateway = new Gateway();
    const outbox = opened(gateway);
    gateway.write(cell(7, 2));
    expect(await outbox.say(cell(8), 0)).toMatchObject({ state: { seq: 2 } });
    expect(await outbox.say(cell(7), 0)).toMatchObject({ problem: { status: 412 } });
    expect(gateway.bodies()).toEqual([cell(7, 2).body, row(8)]);
  });

  test.each(["up", "answers are lost"] as const)(
    "what others say before a word is answered is not taken for it (line: %s)",
    async (line) => {
      const gateway = new Gateway();
      const outbox = opened(gateway);
      gateway.line = line;
      gateway.othersSay(cell(7, 2));
      const outcomes = [1, 7].map((number) => outbox.say(cell(number), 0));
      await outbox.still();
      gateway.mend();
      expect(await Promise.all(outcomes)).toMatchObject([{ seq: 1, state: { seq: 2 } }, { problem: { status: 412 } }]);
      expect(gateway.bodies()).toEqual([row(1), cell(7, 2).body]);
    },
  );

  test("what others say while the log is read is looked at before the word is said again", async () => {
    const gateway = new Gateway();
    const outbox = opened(gateway);
    gateway.write(cell(8));
    gateway.othersSay(cell(7, 2));
    expect(await outbox.say(cell(7), 0)).toMatchObject({ problem: { status: 412 } });
  });

  test("a word given with an older view of the log knows of all own words and of nobody else's", async () => {
    const gateway = new Gateway();
    const outbox = opened(gateway);
    const undo = (seq: number): LabelEvent => ({ kind: "undone", body: { seq } });
    for (const number of [1, 2]) await outbox.say(cell(number), 0);
    expect(await outbox.say(undo(2), 0)).toMatchObject({ seq: 3 });
    gateway.write(cell(7));
    expect(await outbox.say(undo(1), 0)).toMatchObject({ problem: { status: 412 } });
  });

  test("an undo is for the last word that was seen and for no other", async () => {
    const gateway = new Gateway();
    const outbox = opened(gateway);
    gateway.write(cell(1));
    gateway.write(cell(2));
    expect(await outbox.say({ kind: "undone", body: { seq: 1 } }, 1)).toMatchObject({ problem: { status: 412 } });
  });

  test("a refused word is shown and does not stop the next one", async () => {
    const gateway = new Gateway();
    const outbox = opened(gateway);
    gateway.refusal = 422;
    expect(await outbox.say(cell(1), 0)).toMatchObject({ problem: { status: 422 } });
    gateway.refusal = null;
    expect(await outbox.say(cell(2), 0)).toMatchObject({ state: { seq: 1 } });
  });

  test("a refused word stays to be shown, also where nobody waits for it any more", async () => {
    const gateway = new Gateway();
    const outbox = opened(gateway);
    gateway.write(cell(1, 2));
    outbox.adopt([{ id: "1", event: cell(1), expected_seq: 0, tried: true }]);
    await outbox.still();
    expect(outbox.refused.value).toMatchObject([{ word: { id: "1" }, problem: { status: 412 } }]);
    outbox.dismiss(outbox.refused.value);
    expect(outbox.refused.value).toEqual([]);
  });

  test("a refused word outlives its window until the person dismisses it", async () => {
    const gateway = new Gateway();
    const place = `morula.unsent/one/${crypto.randomUUID()}`;
    const outbox = new LabelOutbox("one", place, gateway.post);
    gateway.refusal = 422;
    await outbox.say(cell(1), 0);
    const next = opened(gateway);
    next.adopt(read(place, Array.isArray) ?? []);
    expect(next.refused.value).toMatchObject([{ word: { event: cell(1) }, problem: { status: 422 } }]);
    expect(next.words.value).toEqual([]);
    outbox.dismiss(outbox.refused.value);
    expect(read(place, Array.isArray)).toBeNull();
  });

  test("words of a window that is gone come first, and are not said again where they had arrived", async () => {
    const gateway = new Gateway();
    const outbox = opened(gateway);
    gateway.write(cell(1));
    const left: Word<LabelEvent>[] = [1, 2].map((number) => ({
      id: `${number}`,
      event: cell(number),
      expected_seq: 0,
      tried: false,
    }));
    outbox.adopt(left);
    await outbox.say(cell(3), 1);
    expect(gateway.bodies()).toEqual([row(1), row(2), row(3)]);
  });
});
