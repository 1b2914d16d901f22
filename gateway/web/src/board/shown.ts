// What is on the screen: a page counts as shown when its pictures are drawn, a cell as seen when most of it was in sight.
import { useLayoutEffect, useRef } from "preact/hooks";
import { address } from "../api";
import type { Page } from "../types";

/** Resolves when the page's pictures can be drawn at once. */
export async function pictured(page: Page): Promise<void> {
  const sheets = new Set(page.cells.map((cell) => cell.sheet));
  await Promise.all(
    [...sheets].map(async (sheet) => {
      const image = new Image();
      image.src = address(sheet);
      await image.decode();
    }),
  );
}

const LONGEST_FRAME_MS = 250;

/** Resolves when what was changed is on the screen. A page in the background is never drawn, and nobody types there. */
export function painted(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, LONGEST_FRAME_MS);
    requestAnimationFrame(() => requestAnimationFrame(() => resolve()));
  });
}

/** Share of an element's height that is in sight: inside its scroll box and the window. */
function shareInSight(element: Element): number {
  const box = element.getBoundingClientRect();
  const frame = element.closest("main")?.getBoundingClientRect();
  const top = Math.max(box.top, 0, frame?.top ?? 0);
  const bottom = Math.min(box.bottom, window.innerHeight, frame?.bottom ?? window.innerHeight);
  return box.height > 0 ? Math.max(0, bottom - top) / box.height : 0;
}

const ENOUGH = 0.6;

export interface Sight {
  section: { current: HTMLElement | null };
  /** True where every cell of the page was in sight and the page still is; else what is missing is brought there. */
  isSeen: () => boolean;
}

/** Watches which cells of the page were in sight since it is shown, and brings every new page into view. */
export function useSight(page: Page | undefined): Sight {
  const section = useRef<HTMLElement>(null);
  const seen = useRef(new Set<Element>());
  const cells = () => [...(section.current?.querySelectorAll(".cell") ?? [])];
  const look = () => {
    for (const cell of cells()) if (shareInSight(cell) >= ENOUGH) seen.current.add(cell);
  };
  useLayoutEffect(() => {
    seen.current = new Set();
    if (page && section.current && !cells().every((cell) => shareInSight(cell) === 1)) {
      section.current.scrollIntoView({ block: "start" });
    }
    look();
    document.addEventListener("scroll", look, { capture: true, passive: true });
    return () => document.removeEventListener("scroll", look, { capture: true });
  }, [page]);
  const isSeen = () => {
    look();
    const all = cells();
    const missing = all.find((cell) => !seen.current.has(cell));
    if (!missing && all.some((cell) => shareInSight(cell) >= ENOUGH)) return true;
    (missing ?? section.current)?.scrollIntoView({ block: missing ? "center" : "start" });
    return false;
  };
  return { section, isSeen };
}
