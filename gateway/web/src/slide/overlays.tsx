// What floats above the slide: the scale bar, the navigator.
import type { Signal } from "@preact/signals";
import { api } from "../api";
import { microns } from "../format";
import type { Slide } from "../types";
import { bounded, boxOf, type Camera, type Size, scaleBar } from "./camera";

interface Props {
  slide: Slide;
  camera: Signal<Camera | null>;
  size: Signal<Size>;
}

export function ScaleBar({ camera, mpp }: { camera: Signal<Camera | null>; mpp: number }) {
  if (!camera.value) return null;
  const { length_um, width } = scaleBar(camera.value, mpp);
  return (
    <div class="scale-bar" role="img" aria-label={`Scale: the bar is ${microns(length_um)} long`}>
      <span>{microns(length_um)}</span>
      <i style={{ width: `${width}px` }} />
    </div>
  );
}

const LARGEST = 180;

export function Navigator({ slide, camera, size }: Props) {
  if (!camera.value) return null;
  const scale = LARGEST / Math.max(slide.width_px, slide.height_px);
  const [left, top, right, bottom] = boxOf(camera.value, size.value);
  const move = (event: PointerEvent) => {
    const now = camera.value;
    if (!now || event.buttons === 0) return;
    const frame = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const to = { ...now, x_px: (event.clientX - frame.left) / scale, y_px: (event.clientY - frame.top) / scale };
    camera.value = bounded(to, slide, size.value);
  };
  const [width, height] = [slide.width_px * scale, slide.height_px * scale];
  return (
    <div
      class="navigator"
      aria-hidden="true"
      style={{ width: `${width}px`, height: `${height}px` }}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        move(event);
      }}
      onPointerMove={move}
    >
      <img src={api.thumbnail(slide.id, 512)} alt="" draggable={false} />
      <svg viewBox={`0 0 ${slide.width_px} ${slide.height_px}`} aria-hidden="true">
        <rect x={left} y={top} width={right - left} height={bottom - top} />
      </svg>
    </div>
  );
}
