// Beside the picture: how far the annotator is, the classes with their keys, the batches and what goes out.
import { useState } from "preact/hooks";
import { api, titleOf } from "../api";
import { count, countOf, shareOf } from "../format";
import { go } from "../route";
import { ownName } from "../session";
import type { Problem, Sample } from "../types";
import { NameField } from "../ui/field";
import { Dot } from "../ui/parts";
import { Disclaimer } from "../ui/shell";
import type { TilesScene, Tool } from "./store";
import { measurable } from "./truth";

/** The key of a class: its own, and 0 for the tenth. */
export function keyOf(key: string | null, place: number): string {
  return key ?? (place === 9 ? "0" : "");
}

export function TilesPanel({ scene, sample }: { scene: TilesScene; sample: Sample }) {
  const tiles = scene.tiles.value;
  const sum = (of: "labelled_count" | "cell_count") => tiles.reduce((all, one) => all + one[of], 0);
  const [done, cells] = [sum("labelled_count"), sum("cell_count")];
  return (
    <>
      <section>
        <h2>Labelled by you</h2>
        <p class="big">{shareOf(done, cells)}</p>
        <p class="muted">
          {count(done)} of {countOf(cells, "cell")}
        </p>
        <p class="tiny">You see no cluster and no prediction: what you say is what you saw.</p>
      </section>
      <Classes scene={scene} />
      <Batches scene={scene} sample={sample} />
      <section>
        <h2>Annotator</h2>
        {ownName() === null ? (
          <NameField
            label="Your name, as labels have it"
            value={scene.annotator.value}
            save={(name) => scene.nameAnnotator(name)}
          />
        ) : (
          <p>{scene.annotator.value}, by your key</p>
        )}
        <p class="tiny">Labels of each annotator are apart.</p>
      </section>
      <Outcome sample={sample} done={done} />
      <section class="last">
        <Disclaimer />
      </section>
    </>
  );
}

function Classes({ scene }: { scene: TilesScene }) {
  const [editing, setEditing] = useState(false);
  const tool = scene.tool.value;
  const isChosen = (one: Tool) =>
    one.kind === tool.kind && (one.kind !== "class" || (tool.kind === "class" && one.number === tool.number));
  const counts = new Map<number, number>();
  for (const cell of scene.tile.value?.cells ?? []) {
    if (cell.class_number !== null) counts.set(cell.class_number, (counts.get(cell.class_number) ?? 0) + 1);
  }
  const flagged = scene.tile.value?.cells.filter((cell) => cell.badly_segmented).length ?? 0;
  return (
    <section>
      <div class="row">
        <h2>What a click gives</h2>
        <button type="button" class="link tiny" aria-expanded={editing} onClick={() => setEditing(!editing)}>
          {editing ? "Done" : "Add a class"}
        </button>
      </div>
      <ul class="tools">
        {scene.klasses.value.map((klass, at) => (
          <li key={klass.number}>
            <button
              type="button"
              aria-pressed={isChosen({ kind: "class", number: klass.number })}
              onClick={() => scene.pick({ kind: "class", number: klass.number })}
            >
              <kbd>{keyOf(klass.key, at)}</kbd>
              <Dot klass={klass} />
              <span class="name">{klass.name}</span>
              <span class="push muted">{count(counts.get(klass.number) ?? 0)}</span>
            </button>
          </li>
        ))}
        <li>
          <button
            type="button"
            aria-pressed={isChosen({ kind: "erase" })}
            onClick={() => scene.pick({ kind: "erase" })}
          >
            <kbd>E</kbd>
            <i class="dot hollow" aria-hidden="true" />
            <span class="name">No class</span>
            <span class="push tiny">right click</span>
          </button>
        </li>
        <li>
          <button type="button" aria-pressed={isChosen({ kind: "flag" })} onClick={() => scene.pick({ kind: "flag" })}>
            <kbd>B</kbd>
            <i class="dot flag" aria-hidden="true" />
            <span class="name">Badly segmented</span>
            <span class="push muted">{count(flagged)}</span>
          </button>
        </li>
      </ul>
      {editing && (
        <NameField
          label="Name of a new class"
          value=""
          placeholder="A new class"
          isFirst
          save={(name) => scene.addClass(name)}
        />
      )}
      <p class="tiny after">Numbers are of this tile.</p>
    </section>
  );
}

function Batches({ scene, sample }: { scene: TilesScene; sample: Sample }) {
  const now = scene.tile.value?.batch;
  return (
    <section>
      <h2>Batches</h2>
      <ul class="batches">
        {sample.batches.map(({ number }) => {
          const tiles = scene.tiles.value.filter((one) => one.batch === number);
          const cells = tiles.reduce((all, one) => all + one.cell_count, 0);
          const done = tiles.reduce((all, one) => all + one.labelled_count, 0);
          return (
            <li key={number} aria-current={number === now ? "step" : undefined}>
              <span class="row">
                <button type="button" class="link" onClick={() => void scene.show(tiles[0]?.number ?? 1)}>
                  Batch {number}
                </button>
                <span class="tiny">
                  {count(done)} of {count(cells)} cells, {countOf(tiles.length, "tile")}
                </span>
              </span>
              <progress class="meter" max={cells} value={done} aria-label={`Batch ${number}: labelled cells`} />
              <a class="link tiny" href={api.humanLabels(sample.id, number, scene.annotator.value)} download>
                Export batch {number}
              </a>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Outcome({ sample, done }: { sample: Sample; done: number }) {
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const make = async () => {
    setBusy(true);
    const made = await measurable(sample);
    setBusy(false);
    if ("title" in made) setRefusal(made);
    else go({ screen: "evaluations", ...made });
  };
  return (
    <section>
      <button type="button" class="btn main wide" disabled={done === 0 || busy} onClick={() => void make()}>
        Make a truth of it and evaluate…
      </button>
      {refusal && (
        <p class="refusal" role="alert">
          {titleOf(refusal)}. {refusal.detail}
        </p>
      )}
      <p class="tiny after">Labels as they are now, of all annotators. What is said later is not in it.</p>
    </section>
  );
}
