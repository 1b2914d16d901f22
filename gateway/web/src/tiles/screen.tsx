// The tiles of a sample, one at a time: people say what cells are without seeing what was found of them.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { useEvents } from "../events";
import { count, microns } from "../format";
import { singleKeys, useKeys } from "../keys";
import { go } from "../route";
import type { OpenTile } from "../types";
import { Saved } from "../ui/notes";
import { Failed, Keys, State } from "../ui/parts";
import { type KeyHelp, Shell, samplesTabs } from "../ui/shell";
import { type Seen, whole, zoomed } from "./camera";
import { keyOf, TilesPanel } from "./panel";
import { TilesScene } from "./store";
import { TileView } from "./view";
import "./tiles.css";

const HELP: KeyHelp[] = [
  { keys: ["1", "…", "9", "0"], does: "what a click gives; the class of the selected cell" },
  { keys: ["E"], does: "no class" },
  { keys: ["B"], does: "badly segmented, or not after all" },
  { keys: ["↓", "↑"], does: "select the next cell, the one before" },
  { keys: ["N"], does: "select the next cell without a class" },
  { keys: ["Esc"], does: "let the selected cell go" },
  { keys: ["←", "→"], does: "tiles" },
  { keys: ["H"], does: "hold: show cells without a class" },
  { keys: ["+", "−"], does: "nearer, farther" },
  { keys: ["F"], does: "the whole tile" },
  { keys: ["U", "Ctrl+Z"], does: "undo the last thing said" },
];

export function TilesScreen({ id }: { id: string }) {
  const scene = useMemo(() => new TilesScene(id), [id]);
  const seen = useSignal<Seen | null>(null);
  const [sample, tile] = [scene.sample.value, scene.tile.value];
  useEffect(() => {
    void scene.load();
    return scene.follow();
  }, [scene]);
  useEffect(() => {
    seen.value = null;
  }, [tile?.number, seen]);
  useHeld("h", (held) => {
    scene.onlyUnlabelled.value = held;
  });
  useEvents({
    sample: (changed) => changed.id === id && scene.hear(),
    deleted: (gone) => gone.id === id && void scene.load(),
    reopened: () => scene.hear(),
  });
  useKeys((key) => says(key, scene) || (tile !== null && looks(key, tile, seen)));
  return (
    <Shell
      crumb={sample && <b>{sample.name}</b>}
      tabs={samplesTabs(false)}
      actions={
        <span aria-live="polite">
          <Saved busy={false} />
        </span>
      }
      panel={sample && <TilesPanel scene={scene} sample={sample} />}
      keyline={<KeyLine />}
      last={<Last scene={scene} />}
      help={HELP}
      note={scene.notice.value}
    >
      {scene.problem.value ? (
        <Failed
          problem={scene.problem.value}
          again={() => void scene.load()}
          instead={{ label: "All samples", act: () => go({ screen: "samples", job: null }) }}
        />
      ) : sample && tile ? (
        <Tile scene={scene} tile={tile} seen={seen} />
      ) : scene.lacking.value ? (
        <Failed problem={scene.lacking.value} again={() => void scene.show(scene.number.value)} />
      ) : (
        <State title="Opening the tile">Its picture and its cells are on their way.</State>
      )}
    </Shell>
  );
}

interface TileProps {
  scene: TilesScene;
  tile: OpenTile;
  seen: Signal<Seen | null>;
}

function Tile({ scene, tile, seen }: TileProps) {
  const all = scene.tiles.value;
  const done = tile.cells.filter((cell) => cell.class_number !== null).length;
  return (
    <section class="sheet lead tile-sheet" aria-labelledby="tile-title">
      <header class="row">
        <h1 id="tile-title" class="page-title">
          Tile {tile.number}
        </h1>
        <span class="muted">
          of {count(all.length)} · batch {tile.batch} · {tile.slide_name} · {count(done)} of {count(tile.cells.length)}{" "}
          cells labelled
        </span>
        <span class="push tile-steps">
          <button
            type="button"
            class="btn"
            disabled={tile.number <= 1}
            aria-keyshortcuts="ArrowLeft"
            onClick={() => void scene.show(tile.number - 1)}
          >
            <kbd>←</kbd> Back
          </button>
          <button
            type="button"
            class="btn"
            disabled={tile.number >= all.length}
            aria-keyshortcuts="ArrowRight"
            onClick={() => void scene.show(tile.number + 1)}
          >
            Next <kbd>→</kbd>
          </button>
        </span>
      </header>
      <progress class="meter" max={tile.cells.length} value={done} aria-label="Labelled cells of this tile" />
      <div class="tile-holder">
        <TileView key={tile.number} scene={scene} tile={tile} seen={seen} />
      </div>
      <div class="row tiny">
        <span role="status" aria-label="The selected cell">
          {selectedWords(scene, tile)}
        </span>
        <span>{microns(Math.round(tile.picture.width_px * tile.picture.mpp))} wide</span>
      </div>
    </section>
  );
}

function selectedWords(scene: TilesScene, tile: OpenTile): string {
  const cell = tile.cells.find((one) => one.number === scene.selected.value);
  if (!cell) return "No cell is selected";
  const klass = scene.klasses.value.find((one) => one.number === cell.class_number);
  const words = `Cell ${cell.number} of ${tile.cells.length}: ${klass?.name ?? "no class"}`;
  return cell.badly_segmented ? `${words}, badly segmented` : words;
}

function KeyLine() {
  return (
    <>
      <Keys names={["1", "–", "9"]}>class</Keys>
      <Keys names={["E"]}>none</Keys>
      <Keys names={["B"]}>badly segmented</Keys>
      <Keys names={["N"]}>next cell</Keys>
      <Keys names={["H"]}>unlabelled</Keys>
      <Keys names={["←", "→"]}>tiles</Keys>
    </>
  );
}

function Last({ scene }: { scene: TilesScene }) {
  return (
    <button type="button" onClick={() => void scene.undo()} aria-keyshortcuts="U">
      undo with U
    </button>
  );
}

function says(key: string, scene: TilesScene): boolean {
  const at = scene.klasses.value.findIndex((klass, place) => keyOf(klass.key, place).toLowerCase() === key);
  const klass = scene.klasses.value[at];
  if (key === "ArrowRight") void scene.show(scene.number.value + 1);
  else if (key === "ArrowLeft") void scene.show(scene.number.value - 1);
  else if (key === "ArrowDown") scene.select(1);
  else if (key === "ArrowUp") scene.select(-1);
  else if (key === "n") scene.select(1, "unlabelled");
  else if (key === "Escape") scene.selected.value = null;
  else if (key === "u" || key === "Ctrl+z") void scene.undo();
  else if (key === "e" || key === "Delete" || key === "Backspace") scene.pick({ kind: "erase" });
  else if (key === "b") scene.pick({ kind: "flag" });
  else if (klass) scene.pick({ kind: "class", number: klass.number });
  else return key === "h";
  return true;
}

const STEP = 1.5;

function looks(key: string, tile: OpenTile, seen: { value: Seen | null }): boolean {
  const now = seen.value ?? whole(tile.picture);
  const [x, y] = [now.x + now.width / 2, now.y + now.height / 2];
  if (key === "+" || key === "=") seen.value = zoomed(now, tile.picture, STEP, x, y);
  else if (key === "-") seen.value = zoomed(now, tile.picture, 1 / STEP, x, y);
  else if (key === "f") seen.value = whole(tile.picture);
  else return false;
  return true;
}

/** Whether a key is held down, where no text is being written. */
function useHeld(key: string, then: (held: boolean) => void): void {
  useEffect(() => {
    const change = (event: KeyboardEvent) => {
      const writes = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
      const isOurs = singleKeys.value && !writes && !event.ctrlKey && !event.metaKey;
      if (event.key.toLowerCase() === key && isOurs) then(event.type === "keydown");
    };
    const release = () => then(false);
    window.addEventListener("keydown", change);
    window.addEventListener("keyup", change);
    window.addEventListener("blur", release);
    return () => {
      window.removeEventListener("keydown", change);
      window.removeEventListener("keyup", change);
      window.removeEventListener("blur", release);
    };
  }, []);
}
