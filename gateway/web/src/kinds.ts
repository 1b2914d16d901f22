// The kinds of label events: what each is about, so that an unsent one can be compared with events that others sent.
import { count, countOf } from "./format";
import type { LabelEvent, StoredEvent } from "./types";

type BodyOf<K extends LabelEvent["kind"]> = Extract<LabelEvent, { kind: K }>["body"];

interface Rule<B> {
  /** Names of the cells and clusters that it is about. */
  about: (body: B, events: readonly StoredEvent[]) => string[];
  /** What it is about, for a person. */
  words: (body: B) => string;
  /** What must not have changed when it arrives: the page's cells, or anything; with "nothing" it is sent again if
   * others named other things meanwhile. */
  bound: "page" | "newest" | "nothing";
}

/** The compiler reports a kind without a row. */
const RULES: { [K in LabelEvent["kind"]]: Rule<BodyOf<K>> } = {
  page_named: {
    about: ({ cells }) => cells.map((cell) => `cell ${cell.row}`),
    words: ({ cells, place }) => `a page of ${countOf(cells.length, "cell")} in cluster ${place.node_id}`,
    bound: "page",
  },
  cell_set: {
    about: ({ row }) => [`cell ${row}`],
    words: ({ row }) => `cell ${count(row)}`,
    bound: "nothing",
  },
  cluster_named: {
    about: ({ node_id }) => [`cluster ${node_id}`],
    words: ({ node_id }) => `cluster ${node_id}`,
    bound: "nothing",
  },
  undone: {
    about: ({ seq }, events) => {
      const undone = events.find((event) => event.seq === seq);
      return undone ? about(undone, events) : [];
    },
    words: () => "an undo",
    bound: "newest",
  },
};

function ruleOf(word: LabelEvent): Rule<LabelEvent["body"]> {
  return RULES[word.kind] as Rule<LabelEvent["body"]>;
}

function about(word: LabelEvent, events: readonly StoredEvent[]): string[] {
  return ruleOf(word).about(word.body, events);
}

export function wordsFor(word: LabelEvent): string {
  return ruleOf(word).words(word.body);
}

export function boundTo(word: LabelEvent): Rule<never>["bound"] {
  return RULES[word.kind].bound;
}

/** Whether the gateway's event is this word: it has all that the word has. */
export function isSame(event: StoredEvent, word: LabelEvent): boolean {
  return event.kind === word.kind && holds(event.body, word.body);
}

function holds(stored: unknown, word: unknown): boolean {
  if (Array.isArray(word)) {
    return (
      Array.isArray(stored) && stored.length === word.length && word.every((one, index) => holds(stored[index], one))
    );
  }
  if (typeof word === "object" && word !== null) {
    if (typeof stored !== "object" || stored === null) return false;
    const other = stored as Record<string, unknown>;
    return Object.entries(word).every(([name, value]) => holds(other[name], value));
  }
  return stored === word;
}

/** Whether one of the events since then is about something that the word is about. */
export function wasSpokenOf(word: LabelEvent, since: readonly StoredEvent[], events: readonly StoredEvent[]): boolean {
  const own = new Set(about(word, events));
  return since.some((event) => about(event, events).some((one) => own.has(one)));
}
