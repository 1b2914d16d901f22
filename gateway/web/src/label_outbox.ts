// The outbox of a board: what others said meanwhile is compared with a word before it is sent again.
import { asProblem } from "./api";
import { boundTo, isSame, wasSpokenOf } from "./kinds";
import { Outbox, type Outcome, type Post, type Word } from "./outbox";
import type { LabelEvent, Labelling, Problem, StoredEvent } from "./types";

export interface LabelPost extends Post<LabelEvent, Labelling> {
  events: (labelling: string) => Promise<StoredEvent[]>;
  labelling: (labelling: string) => Promise<Labelling>;
}

type LabelOutcome = Outcome<LabelEvent, Labelling>;

export class LabelOutbox extends Outbox<LabelEvent, Labelling> {
  constructor(
    labelling: string,
    place: string,
    protected override readonly post: LabelPost,
  ) {
    super(labelling, place, post);
  }

  /** Null if the word has to be sent again, because others named other things meanwhile. */
  protected override async outcomeOf(word: Word<LabelEvent>): Promise<LabelOutcome | null> {
    try {
      return await super.outcomeOf(word);
    } catch (error) {
      const problem = asProblem(error);
      if (problem.status !== 412) throw error;
      return await this.reconciled(word, problem);
    }
  }

  private async reconciled(word: Word<LabelEvent>, problem: Problem): Promise<LabelOutcome | null> {
    const events = await this.post.events(this.of);
    const since = events.filter((event) => event.seq > word.expected_seq && !this.own.has(event.seq));
    const arrived = word.tried && since.find((event) => isSame(event, word.event));
    if (arrived) return { state: await this.post.labelling(this.of), seq: arrived.seq };
    if (boundTo(word.event) !== "nothing" || wasSpokenOf(word.event, since, events)) return { word, problem };
    this.change({ ...word, expected_seq: events.at(-1)?.seq ?? 0 });
    return null;
  }
}
