// The panel beside the board: how far the labels reach, the classes, how fine the clusters are.
import { useState } from "preact/hooks";
import { count, countOf, percent } from "../format";
import type { Clustering, Labelling, Page, Problem } from "../types";
import { NameField, type Save } from "../ui/field";
import { Dot, isHollow } from "../ui/parts";
import { Disclaimer } from "../ui/shell";
import { headline, heldOutSentence, mixingSentence, movedSentence, structureSentence } from "./words";

interface PanelProps {
  labelling: Labelling;
  clustering: Clustering;
  page: Page | null;
  busy: boolean;
  cut: (cluster_count: number) => void;
  addClass: Save;
  renameClass: (number: number, name: string) => Promise<Problem | null>;
}

export function BoardPanel(props: PanelProps) {
  const { labelling, clustering } = props;
  return (
    <>
      <Progress labelling={labelling} page={props.page} />
      <Classes labelling={labelling} add={props.addClass} rename={props.renameClass} />
      <Granularity labelling={labelling} clustering={clustering} busy={props.busy} cut={props.cut} />
      <section class="last">
        <Disclaimer />
      </section>
    </>
  );
}

const TITLES: Record<Labelling["spread"], string> = {
  none: "Labelled so far",
  model: "Labelled by the model",
  clusters: "Labelled by cluster names",
};

function Progress({ labelling, page }: { labelling: Labelling; page: Page | null }) {
  const labelled = labelling.cell_count - labelling.unlabelled_count;
  const [share, ofWhat] = headline(labelling);
  return (
    <section>
      <h2>{TITLES[labelling.spread]}</h2>
      <div class="big">
        {share} <small>{ofWhat}</small>
      </div>
      <Bar labelling={labelling} />
      <p class="muted">
        <b class="strong">{count(labelled)}</b> of {countOf(labelling.cell_count, "cell")} have a label
        {labelling.spread === "model" && `; the model is sure of ${count(labelling.sure_count)}`}. You have looked at{" "}
        <b class="strong">{countOf(labelling.seen_count, "cell")}</b> on {countOf(labelling.page_count, "page")}.
        {/* The first pages show what there is: of all cells, one page makes few sure. */}
        {page && page.reason !== "largest_cluster" && page.worth > 0 && (
          <>
            {" "}
            This page can make the labels of up to <b class="strong">{percent(page.worth, 1)}</b> of all cells sure.
          </>
        )}
      </p>
      <p class="tiny after">{heldOutSentence(labelling)}</p>
      {labelling.moved && <p class="tiny after">{movedSentence(labelling.moved)}</p>}
    </section>
  );
}

function Bar({ labelling }: { labelling: Labelling }) {
  const counts = new Map(labelling.class_counts.map((one) => [one.class_number, one.cell_count]));
  const shown = labelling.label_set.classes.filter((klass) => !isHollow(klass));
  const words = shown.map((klass) => `${klass.name} ${count(counts.get(klass.number) ?? 0)}`).join(", ");
  return (
    <div class="bar" role="img" aria-label={`Cells by class: ${words}`}>
      {shown.map((klass) => (
        <i
          key={klass.number}
          class="tinted"
          style={{
            "--c": klass.color,
            width: `${(100 * (counts.get(klass.number) ?? 0)) / Math.max(1, labelling.cell_count)}%`,
          }}
        />
      ))}
    </div>
  );
}

interface ClassesProps {
  labelling: Labelling;
  add: Save;
  rename: (number: number, name: string) => Promise<Problem | null>;
}

function Classes({ labelling, add, rename }: ClassesProps) {
  const [editing, setEditing] = useState(false);
  const classes = labelling.label_set.classes;
  const counts = new Map(labelling.class_counts.map((one) => [one.class_number, one.cell_count]));
  return (
    <section aria-labelledby="classes-title">
      <div class="row">
        <h2 id="classes-title">Classes</h2>
        <button type="button" class="tiny plain" aria-expanded={editing} onClick={() => setEditing(!editing)}>
          {editing ? "Done" : "Edit"}
        </button>
      </div>
      <ul class="classes">
        {classes.map((klass) => (
          <li key={klass.number}>
            {klass.key ? <kbd>{klass.key}</kbd> : <span class="keyless" />}
            <Dot klass={klass} />
            {editing ? (
              <NameField
                label={`Name of class ${klass.name}`}
                value={klass.name}
                save={(name) => rename(klass.number, name)}
              />
            ) : (
              <span class="name">{klass.name}</span>
            )}
            {!editing && <span class="push muted">{count(counts.get(klass.number) ?? 0)}</span>}
          </li>
        ))}
        {(editing || classes.length < 2) && (
          <li>
            <span class="keyless" />
            <NameField label="Name of a new class" value="" placeholder="New class" save={add} isFirst={editing} />
          </li>
        )}
      </ul>
    </section>
  );
}

interface GranularityProps {
  labelling: Labelling;
  clustering: Clustering;
  busy: boolean;
  cut: (cluster_count: number) => void;
}

function Granularity({ labelling, clustering, busy, cut }: GranularityProps) {
  const [held, setHeld] = useState<number | null>(null);
  const finest = Math.max(2, Math.min(clustering.leaf_count, 250));
  const shown = held ?? labelling.cluster_count;
  return (
    <section>
      <div class="row">
        <h2 id="granularity">Granularity</h2>
        <span class="tiny">{countOf(shown, "cluster")}</span>
      </div>
      <input
        type="range"
        min={Math.min(2, finest)}
        max={finest}
        value={shown}
        disabled={busy}
        aria-labelledby="granularity"
        aria-valuetext={countOf(shown, "cluster")}
        onInput={(event) => setHeld(Number(event.currentTarget.value))}
        onChange={(event) => {
          setHeld(null);
          cut(Number(event.currentTarget.value));
        }}
      />
      <div class="row tiny">
        <span>coarse</span>
        <span>fine</span>
      </div>
      <p class="tiny after">{structureSentence(clustering)}</p>
      {clustering.slides.length > 1 && <p class="tiny">{mixingSentence(clustering)}</p>}
    </section>
  );
}
