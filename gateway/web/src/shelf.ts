// What must outlive a reload is laid on the browser's shelf. Where there is none (private windows, a full disk) it stays in memory.
const memory = new Map<string, string>();

function storage(): Storage | null {
  return typeof localStorage === "undefined" ? null : localStorage;
}

/** Lays `value` down, or takes it away where it is null. False: it is kept by this page alone. */
export function lay(key: string, value: unknown): boolean {
  if (value === null) memory.delete(key);
  else memory.set(key, JSON.stringify(value));
  try {
    if (value === null) storage()?.removeItem(key);
    else storage()?.setItem(key, JSON.stringify(value));
    return storage() !== null;
  } catch (error) {
    if (error instanceof DOMException) return false;
    throw error;
  }
}

/** What lies there; null where nothing does, or something that this page did not lay. */
export function find<T>(key: string, isOne: (value: unknown) => value is T): T | null {
  const text = memory.get(key) ?? storage()?.getItem(key) ?? null;
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    return isOne(value) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

export function keysBelow(prefix: string): string[] {
  const shelf = storage();
  const names = Array.from({ length: shelf?.length ?? 0 }, (_, index) => shelf?.key(index) ?? "");
  return names.filter((name) => name.startsWith(prefix));
}

/** A name that nobody else has; `randomUUID` is not there where the page comes over plain HTTP from another host. */
export function newName(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
