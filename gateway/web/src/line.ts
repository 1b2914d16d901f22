// Whether the gateway can be reached at all: known from the stream of events and from asking, also while nobody says anything.
import { signal } from "@preact/signals";
import type { Problem } from "./types";

/** Why not; null while it answers. */
export const cut = signal<Problem | null>(null);
