// What must outlive a reload: in the browser's local storage, or in memory where there is none (private windows, a full disk).
const memory = new Map<string, string>();

function storage(): Storage | null {
  return typeof localStorage === "undefined" ? null : localStorage;
}

/** Keeps `value` under `key`, or removes it if it is null. False: only this page keeps it, in memory. */
export function keep(key: string, value: unknown): boolean {
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

/** The value under `key`; null if there is none, or none that this page wrote. */
export function read<T>(key: string, isOne: (value: unknown) => value is T): T | null {
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
  const local = storage();
  const names = Array.from({ length: local?.length ?? 0 }, (_, index) => local?.key(index) ?? "");
  return names.filter((name) => name.startsWith(prefix));
}

/** A name that nobody else has; `randomUUID` is not there where the page comes over plain HTTP from another host. */
export function newName(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
