// The canvas: keeps deck.gl's picture in step with the camera, the tiles and the labels.
import { Deck, OrthographicView } from "@deck.gl/core";
import { effect, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Slide } from "../types";
import { Blocks, cellAt, outlineOf } from "./blocks";
import { bounded, boxOf, type Camera, onSlide, type Size, wholeSlide } from "./camera";
import { CellLayers, OUTLINES_ZOOM, POINTS_ZOOM, selectionLayers, tileLayers } from "./layers";
import type { SlideScene } from "./store";
import { Tiles, tileZoom } from "./tiles";

interface Props {
  scene: SlideScene;
  slide: Slide;
  camera: Signal<Camera | null>;
  size: Signal<Size>;
}

/** How far from a cell's middle a click may be, in screen pixels; farther than DRAG_PX it was no click. */
const CLICK_REACH = 6;
const DRAG_PX = 5;
const FAR_PAUSE_MS = 400;

export function SlideView({ scene, slide, camera, size }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const parent = holder.current;
    if (!parent) return;
    const picture = new Picture(parent, scene, slide, camera, size);
    return () => picture.close();
  }, [scene, slide, camera, size]);
  return <div class="canvas" ref={holder} />;
}

class Picture {
  private readonly deck: Deck<OrthographicView>;
  private readonly tiles: Tiles;
  private readonly blocks: Blocks | null;
  private readonly cells = new CellLayers();
  private readonly watcher: ResizeObserver;
  private readonly stopDrawing: () => void;
  private frame = 0;
  private pending: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly parent: HTMLDivElement,
    private readonly scene: SlideScene,
    private readonly slide: Slide,
    private readonly camera: Signal<Camera | null>,
    private readonly size: Signal<Size>,
  ) {
    this.measure();
    camera.value ??= wholeSlide(slide, size.value);
    this.tiles = new Tiles(
      slide,
      () => this.redraw(),
      () => this.lack("Some tiles of the slide could not be read; coarser ones stand in for them"),
    );
    this.blocks = this.openBlocks();
    this.deck = this.makeDeck();
    this.watcher = new ResizeObserver(() => this.measure());
    this.watcher.observe(parent);
    this.stopDrawing = effect(() => this.follow());
    this.watchClicks();
  }

  private openBlocks(): Blocks | null {
    const clustering = this.scene.clustering.value;
    if (!clustering) return null;
    const failed = () => this.lack("Some cells could not be fetched; load the page again to try once more");
    const blocks = new Blocks(clustering.id, this.slide.id, () => this.arrived(), failed);
    blocks.open().then(() => this.redraw(), failed);
    return blocks;
  }

  private lack(words: string): void {
    this.scene.notice.value = { text: words };
  }

  private makeDeck(): Deck<OrthographicView> {
    return new Deck({
      parent: this.parent,
      views: new OrthographicView({ id: "slide", flipY: true }),
      viewState: this.viewState(),
      controller: { keyboard: false, inertia: 200, scrollZoom: { speed: 0.012, smooth: false }, dragRotate: false },
      pickingRadius: 0,
      getCursor: ({ isDragging }) => (isDragging ? "grabbing" : "crosshair"),
      onViewStateChange: ({ viewState }) => this.moved(viewState as ReturnType<Picture["viewState"]>),
      layers: [],
    });
  }

  private viewState() {
    const { x_px, y_px, zoom } = this.camera.value ?? wholeSlide(this.slide, this.size.value);
    return { target: [x_px, y_px, 0] as [number, number, number], zoom };
  }

  private moved({ target, zoom }: { target: [number, number, number]; zoom: number | [number, number] }): void {
    const near = Array.isArray(zoom) ? zoom[0] : zoom;
    this.camera.value = bounded({ x_px: target[0], y_px: target[1], zoom: near }, this.slide, this.size.value);
  }

  /** deck.gl's own click waits for a second one; a person who labels should not. */
  private watchClicks(): void {
    let down = { x: 0, y: 0 };
    this.parent.addEventListener("pointerdown", ({ clientX: x, clientY: y }) => {
      down = { x, y };
    });
    this.parent.addEventListener("click", (event) => {
      const moved = Math.hypot(event.clientX - down.x, event.clientY - down.y);
      const frame = this.parent.getBoundingClientRect();
      if (moved < DRAG_PX) this.clicked(event.clientX - frame.left, event.clientY - frame.top);
    });
  }

  private clicked(screen_x: number, screen_y: number): void {
    const camera = this.camera.value;
    if (!camera || !this.blocks) return;
    const [x, y] = onSlide(camera, this.size.value, screen_x, screen_y);
    const reach_px = Math.max(4, CLICK_REACH / 2 ** camera.zoom);
    const near = this.blocks.shown([x - reach_px, y - reach_px, x + reach_px, y + reach_px]);
    this.scene.selected.value = cellAt(near, x, y, reach_px);
  }

  private measure(): void {
    const { clientWidth: width, clientHeight: height } = this.parent;
    if (width > 0) this.size.value = { width, height };
  }

  /** Runs again whenever a signal that it reads changes. */
  private follow(): void {
    const camera = this.camera.value;
    if (!camera) return;
    this.size.value;
    this.scene.colouring.value;
    this.scene.selected.value;
    this.redraw();
  }

  /** From far every block changes the whole picture: draw it now and then, not for each of thousands. */
  private arrived(): void {
    const far = (this.camera.value?.zoom ?? 0) < POINTS_ZOOM;
    if (!far) this.redraw();
    else this.pending ??= setTimeout(() => this.redraw(), FAR_PAUSE_MS);
  }

  private redraw(): void {
    clearTimeout(this.pending);
    this.pending = undefined;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    const camera = this.camera.value;
    if (!camera) return;
    const box = boxOf(camera, this.size.value);
    const zoom = tileZoom(camera, this.slide, window.devicePixelRatio);
    this.tiles.want(box, zoom);
    const near = camera.zoom >= OUTLINES_ZOOM;
    this.blocks?.want(box, near);
    const blocks = camera.zoom < POINTS_ZOOM ? (this.blocks?.all() ?? []) : (this.blocks?.shown(box) ?? []);
    const cells = this.blocks ? this.cells.draw(blocks, camera.zoom, this.scene.colouring.value, this.slide) : [];
    const selected = this.scene.selected.value;
    const outline = selected === null ? null : (blocks.map((one) => outlineOf(one, selected)).find(Boolean) ?? null);
    this.deck.setProps({
      viewState: this.viewState(),
      layers: [...tileLayers(this.tiles.shown(box, zoom)), ...cells, ...selectionLayers(outline)],
    });
  }

  close(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.pending);
    this.stopDrawing();
    this.watcher.disconnect();
    this.tiles.close();
    this.blocks?.close();
    this.deck.finalize();
  }
}
