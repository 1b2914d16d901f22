// The floating panel: classes and their cells on this slide, and the cell that was clicked.

import { count, countOf } from "../format";
import { NO_CLASS, NOT_SURE, type Source } from "../labels";
import { go } from "../route";
import type { Klass } from "../types";
import { ClassChip, Dot } from "../ui/parts";
import { Disclaimer } from "../ui/shell";
import type { SlideScene } from "./store";

export function SlidePanel({ scene }: { scene: SlideScene }) {
  const slide = scene.slide.value;
  if (!slide) return <Disclaimer />;
  return (
    <>
      <section>
        <h2>{scene.labelling.value ? "Cells of this slide" : "Slide"}</h2>
        {scene.labelling.value ? (
          <p class="muted">
            <b class="strong">
              {countOf(scene.part.value ? scene.part.value.row_stop - scene.part.value.row_start : 0, "cell")}
            </b>
            {spreadWords(scene)}
          </p>
        ) : (
          <p class="muted">
            {count(slide.width_px)} × {count(slide.height_px)} px. Its cells are not known yet.
          </p>
        )}
        <OtherSlides scene={scene} />
      </section>
      {scene.labelling.value && <ClassToggles scene={scene} />}
      {scene.labelling.value && <SelectedCell scene={scene} />}
      <Disclaimer />
    </>
  );
}

function spreadWords(scene: SlideScene): string {
  const spread = scene.labelling.value?.spread;
  if (spread === "model") return ", labelled by the model. What you say wins over it.";
  if (spread === "clusters") return ", labelled by cluster names. What you say wins over them.";
  return ". No labels spread yet: name a few pages on the board.";
}

function OtherSlides({ scene }: { scene: SlideScene }) {
  const slides = scene.clustering.value?.slides ?? [];
  if (slides.length < 2) return null;
  const open = (slide: string) => go({ screen: "slide", labelling: scene.labellingId ?? "", slide, at: null });
  return (
    <select
      class="field"
      aria-label="Slide of this cohort"
      value={scene.slide.value?.id ?? ""}
      onChange={(event) => open(event.currentTarget.value)}
    >
      {slides.map((one) => (
        <option key={one.slide_id} value={one.slide_id}>
          {one.name}
        </option>
      ))}
    </select>
  );
}

function ClassToggles({ scene }: { scene: SlideScene }) {
  const counts = scene.counts.value;
  const unlabelled = (counts[NO_CLASS] ?? 0) + (counts[NOT_SURE] ?? 0);
  return (
    <section aria-labelledby="shown-title">
      <h2 id="shown-title">Shown</h2>
      <ul class="toggles">
        {scene.klasses.value.map((klass) => (
          <Toggle
            key={klass.number}
            scene={scene}
            number={klass.number}
            klass={klass}
            name={klass.name}
            cells={counts[klass.number] ?? 0}
          />
        ))}
        <Toggle scene={scene} number={NO_CLASS} klass={null} name="No class" cells={unlabelled} />
      </ul>
      {(scene.labelling.value?.version ?? 0) > 0 && (
        <label class="tiny check">
          <input
            type="checkbox"
            checked={scene.byConfidence.value}
            onChange={(event) => void scene.showConfidence(event.currentTarget.checked)}
          />
          Paler where the model is less sure
        </label>
      )}
    </section>
  );
}

interface ToggleProps {
  scene: SlideScene;
  number: number;
  klass: Klass | null;
  name: string;
  cells: number;
}

function Toggle({ scene, number, klass, name, cells }: ToggleProps) {
  const shown = !scene.hidden.value.has(number);
  return (
    <li>
      <button type="button" aria-pressed={shown} class={shown ? "" : "off"} onClick={() => scene.toggle(number)}>
        {klass?.key ? <kbd>{klass.key}</kbd> : <span class="keyless" />}
        {klass ? <Dot klass={klass} /> : <i class="dot grey" aria-hidden="true" />}
        <span class="name">{name}</span>
        <span class="push muted">{count(cells)}</span>
      </button>
    </li>
  );
}

const SOURCES: Record<Source, string> = {
  mark: "said by a person",
  model: "by the model",
  cluster: "by its cluster's name",
  none: "nothing said yet",
};

function SelectedCell({ scene }: { scene: SlideScene }) {
  const row = scene.selected.value;
  if (row === null) return <p class="tiny">Click a cell to see its class and to give it another one.</p>;
  const [klass, source] = scene.labelOf(row);
  return (
    <section class="chosen" aria-label="The selected cell" role="status">
      <h2>Cell {count(row)}</h2>
      <p>
        {klass ? <ClassChip klass={klass} /> : <span class="chip none">no class</span>}{" "}
        <span class="muted">{SOURCES[source]}</span>
      </p>
      <p class="tiny">A digit gives it another class, N takes what was said about it back, Esc lets it go.</p>
      <div class="choices">
        {scene.klasses.value.map((one) => (
          <button
            key={one.number}
            type="button"
            class="pick"
            aria-pressed={one.number === klass?.number}
            onClick={() => void scene.setClass(one.number)}
          >
            {one.key && <kbd>{one.key}</kbd>}
            {one.name}
          </button>
        ))}
      </div>
    </section>
  );
}
