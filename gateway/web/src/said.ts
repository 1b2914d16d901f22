// Which words speak of the same thing: what a word on its way is compared with when others have spoken since.
import type { LabelEvent, SaidEvent } from "./types";

/** The gateway's event is this very word: all that the word says is in it. */
export function isSame(event: SaidEvent, word: LabelEvent): boolean {
  return event.kind === word.kind && holds(event.body, word.body);
}

function holds(stored: unknown, said: unknown): boolean {
  if (Array.isArray(said)) {
    return (
      Array.isArray(stored) && stored.length === said.length && said.every((one, index) => holds(stored[index], one))
    );
  }
  if (typeof said === "object" && said !== null) {
    if (typeof stored !== "object" || stored === null) return false;
    const other = stored as Record<string, unknown>;
    return Object.entries(said).every(([name, value]) => holds(other[name], value));
  }
  return stored === said;
}

/** Cells and clusters that a word is about; an undo is about what it takes back. */
function subjects(word: LabelEvent, events: readonly SaidEvent[]): Set<string> {
  if (word.kind === "page_named") return new Set(word.body.cells.map((cell) => `cell ${cell.row}`));
  if (word.kind === "cell_set") return new Set([`cell ${word.body.row}`]);
  if (word.kind === "cluster_named") return new Set([`cluster ${word.body.node_id}`]);
  const undone = events.find((event) => event.seq === word.body.seq);
  return undone ? subjects(undone, events) : new Set();
}

/** Whether one of the events since then is about something that the word is about. */
export function wasSpokenOf(word: LabelEvent, since: readonly SaidEvent[], events: readonly SaidEvent[]): boolean {
  const own = subjects(word, events);
  return since.some((event) => [...subjects(event, events)].some((one) => own.has(one)));
}
