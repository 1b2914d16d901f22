// The slide: full bleed, coloured by what its cells are.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { api } from "../api";
import { classForKey } from "../board/decide";
import { useEvents } from "../events";
import { useKeys } from "../keys";
import { type At, go } from "../route";
import { Saved } from "../ui/notes";
import { Failed, Keys, State } from "../ui/parts";
import { evaluationTabs, type KeyHelp, labellingTabs, Shell } from "../ui/shell";
import { bounded, type Camera, panned, type Size, wholeSlide } from "./camera";
import { Navigator, ScaleBar } from "./overlays";
import { SlidePanel } from "./panel";
import { SlideScene } from "./store";
import { SlideView } from "./view";
import "./slide.css";

const HELP: KeyHelp[] = [
  { keys: ["←", "→", "↑", "↓"], does: "move over the slide" },
  { keys: ["+", "−"], does: "nearer, farther" },
  { keys: ["0"], does: "the whole slide" },
  { keys: ["1", "…", "9"], does: "class of the selected cell" },
  { keys: ["X"], does: "the selected cell is not a cell" },
  { keys: ["N"], does: "take back what was said about the selected cell" },
  { keys: ["Esc"], does: "let the selected cell go" },
  { keys: ["V"], does: "back to the board" },
  { keys: ["U", "Ctrl+Z"], does: "undo the last thing said" },
];

const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** How near one comes to look at one cell. */
const CELL_ZOOM = 0.5;

interface Props {
  labelling: string | null;
  slide: string | null;
  at: At | null;
}

export function SlideScreen({ labelling, slide, at }: Props) {
  const scene = useMemo(() => new SlideScene(labelling, slide), [labelling, slide]);
  const camera = useSignal<Camera | null>(null);
  const size = useSignal<Size>({ width: 1, height: 1 });
  useEffect(() => {
    camera.value = at ? { x_px: at.x_px, y_px: at.y_px, zoom: CELL_ZOOM } : null;
    scene.selected.value = at?.row ?? null;
    void scene.load();
  }, [scene, at]);
  useEvents({
    labelling: (changed) => changed.id === labelling && void scene.hear(),
    reopened: () => void (scene.problem.value ? scene.load() : scene.hear()),
  });
  useKeys((key) => says(key, scene) || moves(key, scene, camera, size.value));

  const shown = scene.slide.value;
  return (
    <Shell
      floating
      crumb={shown && <b>{shown.name}</b>}
      tabs={labelling ? labellingTabs(labelling, "slide") : evaluationTabs(false)}
      actions={
        labelling && (
          <>
            <span aria-live="polite">
              <Saved busy={false} />
            </span>
            <a
              class="btn"
              href={api.exportAddress(labelling, "cells.geojson.gz")}
              download
              title="Cells with their labels, for QuPath (GeoJSON)"
            >
              Export
            </a>
          </>
        )
      }
      panel={<SlidePanel scene={scene} />}
      keyline={<KeyLine labelled={labelling !== null} />}
      last={<Last scene={scene} />}
      help={HELP}
      note={scene.notice.value}
    >
      {scene.problem.value ? (
        <Failed problem={scene.problem.value} again={() => void scene.load()} />
      ) : shown ? (
        <>
          <SlideView key={shown.id} scene={scene} slide={shown} camera={camera} size={size} />
          <ScaleBar camera={camera} mpp={scene.part.value?.mpp ?? shown.mpp ?? 0} />
          <Navigator slide={shown} camera={camera} size={size} />
        </>
      ) : (
        <State title="Opening the slide">Its tiles are on their way.</State>
      )}
    </Shell>
  );
}

function KeyLine({ labelled }: { labelled: boolean }) {
  return (
    <>
      <Keys names={["←", "↑", "↓", "→"]}>move</Keys>
      <Keys names={["+", "−"]}>nearer, farther</Keys>
      <Keys names={["0"]}>whole slide</Keys>
      {labelled && <Keys names={["1", "–", "9"]}>class of the selected cell</Keys>}
      {labelled && <Keys names={["V"]}>board</Keys>}
    </>
  );
}

function Last({ scene }: { scene: SlideScene }) {
  const labelling = scene.labelling.value;
  return (
    <span role="status">
      {labelling?.last_event?.sentence}
      {labelling?.can_undo && (
        <>
          {" · "}
          <button type="button" onClick={() => void scene.undo()} aria-keyshortcuts="U">
            undo with U
          </button>
        </>
      )}
    </span>
  );
}

function moves(key: string, scene: SlideScene, camera: Signal<Camera | null>, view: Size): boolean {
  const [now, slide] = [camera.value, scene.slide.value];
  if (!now || !slide) return false;
  const arrow = ARROWS[key];
  const to = arrow
    ? panned(now, view, arrow[0], arrow[1])
    : key === "+" || key === "="
      ? { ...now, zoom: now.zoom + 0.5 }
      : key === "-"
        ? { ...now, zoom: now.zoom - 0.5 }
        : key === "0"
          ? wholeSlide(slide, view)
          : null;
  if (to) camera.value = bounded(to, slide, view);
  return to !== null;
}

function says(key: string, scene: SlideScene): boolean {
  if (scene.labellingId === null) return false;
  const selected = scene.selected.value !== null;
  const klass = classForKey(key, scene.klasses.value);
  if (key === "u" || key === "Ctrl+z") void scene.undo();
  else if (key === "v") go({ screen: "board", labelling: scene.labellingId });
  else if (key === "Escape") scene.selected.value = null;
  else if (key === "n" && selected) void scene.setClass(null);
  else if (klass && selected) void scene.setClass(klass.number);
  else return false;
  return true;
}
