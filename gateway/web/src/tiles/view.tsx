// A tile's picture with the outlines of its cells. A click gives the class, the right button takes it back, a stroke
// gives it to all that it meets; the wheel zooms, and with Shift or the middle button the picture moves.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api } from "../api";
import type { Klass, OpenTile, SampleCell } from "../types";
import { isHollow } from "../ui/parts";
import { moved, type Seen, showing, whole, zoomed } from "./camera";
import { cellUnder } from "./places";
import type { TilesScene, Tool } from "./store";

interface Props {
  scene: TilesScene;
  tile: OpenTile;
  seen: Signal<Seen | null>;
}

interface Stroke {
  tool: Tool;
  cells: Set<number>;
}

export function TileView({ scene, tile, seen }: Props) {
  const drawing = useRef<SVGSVGElement>(null);
  const stroke = useSignal<Stroke | null>(null);
  const size = tile.picture;
  seen.value ??= whole(size);
  const selected = scene.selected.value;
  useEffect(() => {
    const place = scene.places.value.find((one) => one.number === selected);
    if (place && seen.value) seen.value = showing(seen.value, size, place.middle);
  }, [scene, selected, seen, size]);
  useEffect(() => {
    const svg = drawing.current;
    return svg ? hands(svg, scene, size, seen, stroke) : undefined;
  }, [scene, size, seen, stroke]);
  const view = seen.value;
  const painted = stroke.value?.cells;
  const done = tile.cells.filter((cell) => cell.class_number !== null).length;
  return (
    <svg
      ref={drawing}
      class={`tile ${scene.onlyUnlabelled.value ? "only-unlabelled" : ""}`}
      viewBox={`${view.x} ${view.y} ${view.width} ${view.height}`}
      role="img"
      aria-label={`Tile ${tile.number}: ${done} of ${tile.cells.length} cells have a class`}
    >
      <image href={api.picture(tile)} x="0" y="0" width={size.width_px} height={size.height_px} />
      <rect
        class="frame"
        x={size.margin_px}
        y={size.margin_px}
        width={size.width_px - 2 * size.margin_px}
        height={size.height_px - 2 * size.margin_px}
      />
      <path class="casing" d={tile.cells.map((cell) => `M${cell.outline.join("L")}Z`).join("")} />
      {tile.cells.map((cell) => (
        <Outline
          key={cell.number}
          cell={cell}
          klass={klassOf(cell, painted?.has(cell.number) ? stroke.value?.tool : undefined, scene.klasses.value)}
          isSelected={cell.number === selected}
        />
      ))}
    </svg>
  );
}

function klassOf(cell: SampleCell, tool: Tool | undefined, klasses: readonly Klass[]): Klass | null {
  const number = tool?.kind === "class" ? tool.number : tool?.kind === "erase" ? null : cell.class_number;
  return klasses.find((one) => one.number === number) ?? null;
}

function Outline({ cell, klass, isSelected }: { cell: SampleCell; klass: Klass | null; isSelected: boolean }) {
  const points = cell.outline.map((point) => point.join(",")).join(" ");
  const kind = klass === null ? "unlabelled" : isHollow(klass) ? "hollow" : "labelled";
  return (
    <>
      {isSelected && <polygon class="halo" points={points} />}
      <polygon
        class={`outline ${kind} ${cell.badly_segmented ? "flagged" : ""}`}
        data-cell={cell.number}
        style={klass ? { "--c": klass.color } : undefined}
        points={points}
      />
    </>
  );
}

const STEP = 1.25;

/** Listens to the pointer on the picture; what it returns stops that. */
function hands(
  svg: SVGSVGElement,
  scene: TilesScene,
  size: OpenTile["picture"],
  seen: Signal<Seen | null>,
  stroke: Signal<Stroke | null>,
): () => void {
  let held: { x: number; y: number } | null = null;
  const at = (event: MouseEvent): [number, number] => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM()?.inverse());
    return [point.x, point.y];
  };
  const meet = (event: PointerEvent) => {
    const [x, y] = at(event);
    const cell = cellUnder(scene.places.value, x, y);
    const now = stroke.value;
    if (cell === null || !now || now.cells.has(cell)) return;
    stroke.value = { ...now, cells: new Set(now.cells).add(cell) };
  };
  const down = (event: PointerEvent) => {
    svg.setPointerCapture(event.pointerId);
    if (event.button === 1 || event.shiftKey) held = { x: event.clientX, y: event.clientY };
    else stroke.value = { tool: event.button === 2 ? { kind: "erase" } : scene.tool.value, cells: new Set() };
    meet(event);
    if (event.button === 1) event.preventDefault();
  };
  const move = (event: PointerEvent) => {
    if (stroke.value) for (const one of event.getCoalescedEvents?.() ?? [event]) meet(one);
    if (!held || !seen.value) return;
    const scale = seen.value.width / svg.clientWidth;
    seen.value = moved(seen.value, size, (held.x - event.clientX) * scale, (held.y - event.clientY) * scale);
    held = { x: event.clientX, y: event.clientY };
  };
  const up = () => {
    const ended = stroke.value;
    [held, stroke.value] = [null, null];
    if (ended) scene.paint([...ended.cells], ended.tool);
  };
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const [x, y] = at(event);
    if (seen.value) seen.value = zoomed(seen.value, size, event.deltaY < 0 ? STEP : 1 / STEP, x, y);
  };
  const menu = (event: Event) => event.preventDefault();
  const cancel = () => {
    [held, stroke.value] = [null, null];
  };
  svg.addEventListener("pointerdown", down);
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerup", up);
  svg.addEventListener("pointercancel", cancel);
  svg.addEventListener("wheel", wheel, { passive: false });
  svg.addEventListener("contextmenu", menu);
  return () => {
    svg.removeEventListener("pointerdown", down);
    svg.removeEventListener("pointermove", move);
    svg.removeEventListener("pointerup", up);
    svg.removeEventListener("pointercancel", cancel);
    svg.removeEventListener("wheel", wheel);
    svg.removeEventListener("contextmenu", menu);
  };
}
