// Pages that were named before this window was opened, or in another window, from the gateway's events.
import type { StoredEvent } from "../types";
import type { PageNamed } from "./decide";

export type NamedPage = PageNamed & { seq: number };

function cellsOf({ body }: PageNamed): string {
  return [...body.cells.map((cell) => cell.row)].sort((a, b) => a - b).join();
}

/** The newest page that was named and is not among those shown; the same cells named twice are one page, as it stands now. */
export function newestBeside(events: readonly StoredEvent[], shown: readonly (readonly number[])[]): NamedPage | null {
  const undone = new Set(events.flatMap((event) => (event.kind === "undone" ? [event.body.seq] : [])));
  const known = new Set(shown.map((rows) => [...rows].sort((a, b) => a - b).join()));
  const named = events.filter((event): event is NamedPage => event.kind === "page_named" && !undone.has(event.seq));
  return named.findLast((event) => !known.has(cellsOf(event))) ?? null;
}
