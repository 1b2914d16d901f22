// A page of the board in one of its states.
import type { Page } from "../types";
import type { Choice, Mark } from "./decide";

/** A page that was shown: open, said but not yet with the gateway, named by the event `seq`, or not taken. */
export interface Turn {
  page: Page;
  choice: Choice;
  state: "open" | "unsent" | "named" | "refused";
  seq: number | null;
  /** What others said of its cells before it was refused. */
  others?: ReadonlyMap<number, Mark>;
  /** The turn as it was named before it was named again: what an undo brings back. */
  before?: Turn | undefined;
}

/** The page as the person saw it: with the name that it was given here. */
export function seen(turn: Turn): Page {
  return turn.seq === null ? turn.page : { ...turn.page, seq: turn.seq };
}
