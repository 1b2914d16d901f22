// Keys act where no text is being written. Single-letter keys can be switched off (WCAG 2.1.4).
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

const STORED = "morula.keys";

export const singleKeys = signal(stored() !== "off");
export const helpOpen = signal(false);

function stored(): string | null {
  return typeof localStorage === "undefined" ? null : localStorage.getItem(STORED);
}

export function setSingleKeys(on: boolean): void {
  singleKeys.value = on;
  localStorage.setItem(STORED, on ? "on" : "off");
}

/** Name of a pressed key as the screens spell it: "a" to "z", "0" to "9", "Enter", "Shift+3", "Ctrl+z". */
export function keyName(event: KeyboardEvent): string {
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
  const name = digit && (event.shiftKey || event.code.startsWith("Numpad") || event.key === digit) ? digit : event.key;
  const plain = name.length === 1 ? name.toLowerCase() : name;
  if (event.ctrlKey || event.metaKey) return `Ctrl+${plain}`;
  return digit && event.shiftKey ? `Shift+${digit}` : plain;
}

function writesText(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.matches("input:not([type=range]):not([type=checkbox]), textarea, select") || target.isContentEditable)
  );
}

/** Keys that a focused control already answers to. */
function belongsToControl(name: string, target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (name === "Enter" || name === " ") return target.matches("button, a, summary, input");
  return name.startsWith("Arrow") && target.matches("input[type=range]");
}

/** The screen itself, for keys that are meant for no control. */
export function returnToPage(): void {
  document.querySelector("main")?.focus({ preventScroll: true });
}

const CONTROLS = "button, a, summary, input[type=checkbox], input[type=range]";

/** A clicked control gives the focus back, so that the next key acts on the screen. Focus by Tab stays. */
export function releaseClicked(): void {
  window.addEventListener("click", (event) => {
    const clicked = document.activeElement;
    if (event.detail > 0 && clicked?.matches(CONTROLS) && !clicked.closest("dialog, [role=menu]")) returnToPage();
  });
}

/** A held key names nothing twice, because the next page may be there by then. Keys that move repeat. */
function isHeld(event: KeyboardEvent, name: string): boolean {
  const says = name.length === 1 || name === "Enter" || name === "Ctrl+z" || name.startsWith("Shift+");
  return event.repeat && says && !["+", "-", "="].includes(name);
}

/** Calls `onKey` with the key's name; a true answer means that the key was used up. */
export function useKeys(onKey: (name: string, event: KeyboardEvent) => boolean): void {
  const latest = useRef(onKey);
  latest.current = onKey;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.altKey || helpOpen.value || writesText(event.target)) return;
      const name = keyName(event);
      if (belongsToControl(name, event.target)) return;
      if (isHeld(event, name)) event.preventDefault();
      else if (name === "?") helpOpen.value = true;
      else if (name.length === 1 && !singleKeys.value) return;
      else if (!latest.current(name, event)) return;
      event.preventDefault();
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
}
