// Whose key this browser is signed in with, where the server asks for one.
import { signal } from "@preact/signals";
import type { Session } from "./types";

export const session = signal<Session | null>(null);
/** The server asks for a key, and this browser has none that lets it in, or not any more. */
export const locked = signal(false);

export function enter(now: Session): void {
  session.value = now;
  locked.value = now.asks_for_key && now.name === null;
}

/** The name under which the server writes down what is said here; null where people say it themselves. */
export function ownName(): string | null {
  return session.value?.asks_for_key ? session.value.name : null;
}
