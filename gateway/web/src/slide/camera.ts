// Where one looks: the centre in level-0 pixels and a zoom in powers of two (0: one slide pixel is one screen pixel).
import type { Slide } from "../types";

export interface Camera {
  x_px: number;
  y_px: number;
  zoom: number;
}

export interface Size {
  width: number;
  height: number;
}

/** [left, top, right, bottom] in level-0 pixels. */
export type Box = [number, number, number, number];

export const NEAREST_ZOOM = 4;

export function scaleOf(camera: Camera): number {
  return 2 ** camera.zoom;
}

/** Shows all of the slide; level-0 px. */
export function wholeSlide(slide: Slide, view: Size): Camera {
  const scale = 0.92 * Math.min(view.width / slide.width_px, view.height / slide.height_px);
  return { x_px: slide.width_px / 2, y_px: slide.height_px / 2, zoom: Math.log2(Math.max(scale, 1e-6)) };
}

/** Keeps some of the slide in view, and the zoom between "whole slide, small" and "pixels as tiles". */
export function bounded(camera: Camera, slide: Slide, view: Size): Camera {
  const farthest = wholeSlide(slide, view).zoom - 1;
  return {
    x_px: Math.min(slide.width_px, Math.max(0, camera.x_px)),
    y_px: Math.min(slide.height_px, Math.max(0, camera.y_px)),
    zoom: Math.min(NEAREST_ZOOM, Math.max(farthest, camera.zoom)),
  };
}

/** What is in view, in level-0 pixels. */
export function boxOf(camera: Camera, view: Size): Box {
  const [half_x, half_y] = [view.width / 2 / scaleOf(camera), view.height / 2 / scaleOf(camera)];
  return [camera.x_px - half_x, camera.y_px - half_y, camera.x_px + half_x, camera.y_px + half_y];
}

/** The level-0 pixel under a pixel of the screen. */
export function onSlide(camera: Camera, view: Size, screen_x: number, screen_y: number): [number, number] {
  const scale = scaleOf(camera);
  return [camera.x_px + (screen_x - view.width / 2) / scale, camera.y_px + (screen_y - view.height / 2) / scale];
}

export function panned(camera: Camera, view: Size, right: number, down: number): Camera {
  const step = (0.2 * Math.min(view.width, view.height)) / scaleOf(camera);
  return { ...camera, x_px: camera.x_px + right * step, y_px: camera.y_px + down * step };
}

export function overlaps(a: Box, b: Box): boolean {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}

/** A round length in microns that is about a hundred screen pixels long. */
export function scaleBar(camera: Camera, mpp: number): { length_um: number; width: number } {
  const um_per_px = mpp / scaleOf(camera);
  const wanted = 120 * um_per_px;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const length_um = [5, 2, 1].map((step) => step * power).find((length) => length <= wanted) ?? power;
  return { length_um, width: length_um / um_per_px };
}
