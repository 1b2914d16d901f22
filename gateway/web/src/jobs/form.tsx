// How a slide's cells are to be found: which models, with their licences and speeds, and what may be asked of them.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { titleOf } from "../api";
import type { Choices, Model, Problem } from "../types";
import { carriedWords, licenceOf, modelOf, names, offered, readChoices, STAINS, speedOf } from "./choices";
import { Segmentation } from "./segmentation";

export interface Asking {
  title: string;
  says: string;
  yes: string;
  /** What is filled in, and what the form carries over as it is. */
  first: Choices;
  /** Answers why it was refused, or null. */
  act: (chosen: Choices) => Promise<Problem | null>;
}

export function JobForm({ asking, models, done }: { asking: Asking; models: readonly Model[]; done: () => void }) {
  const { first } = asking;
  const dialog = useRef<HTMLDialogElement>(null);
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const [segmenter, setSegmenter] = useState(() => modelOf(models, "segmenter", first.segmenter));
  const [embedder, setEmbedder] = useState(() => modelOf(models, "embedder", first.embedder));
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!segmenter || !embedder) return;
    const chosen = readChoices(new FormData(event.currentTarget as HTMLFormElement), segmenter, embedder, first);
    const refused = await asking.act(chosen);
    setRefusal(refused);
    if (!refused) dialog.current?.close();
  };
  return (
    <dialog
      ref={dialog}
      class="job-form"
      aria-labelledby="job-form-title"
      onClose={done}
      onKeyDown={(event) => event.stopPropagation()}
    >
      <form onSubmit={(event) => void submit(event)} onInput={() => setRefusal(null)}>
        <h1 id="job-form-title">{asking.title}</h1>
        <p class="muted">{asking.says}</p>
        <Carried words={carriedWords(first)} />
        <StainField stain={first.stain} />
        <ModelList title="What finds cells" task="segmenter" models={models} chosen={segmenter} choose={setSegmenter} />
        {segmenter && <Segmentation model={segmenter} first={first} key={segmenter.name} />}
        <ModelList title="What describes them" task="embedder" models={models} chosen={embedder} choose={setEmbedder} />
        {refusal && (
          <p class="refusal" role="alert">
            {titleOf(refusal)}. {refusal.detail}
          </p>
        )}
        <footer>
          <button type="button" class="btn" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="btn main" disabled={!segmenter || !embedder}>
            {asking.yes}
          </button>
        </footer>
      </form>
    </dialog>
  );
}

/** What the form has no field for is kept whole or let go. */
function Carried({ words }: { words: string }) {
  if (!words) return null;
  return (
    <label class="flag">
      <input type="checkbox" name="carried" defaultChecked />
      <span>
        As in the last run: <span class="muted">{words}</span>
      </span>
    </label>
  );
}

/** It decides what is measured of cells: of what a slide does not have nothing is said. */
function StainField({ stain }: { stain: Choices["stain"] }) {
  return (
    <div class="choice">
      <label for="stain">Stain</label>
      <select id="stain" class="field" name="stain">
        <option value="">as the slide's card says</option>
        {names(STAINS).map((one) => (
          <option key={one} value={one} selected={one === stain}>
            {STAINS[one]}
          </option>
        ))}
      </select>
      <span class="tiny">Decides what is measured of cells.</span>
    </div>
  );
}

interface ModelListProps {
  title: string;
  task: Model["task"];
  models: readonly Model[];
  chosen: Model | null;
  choose: (model: Model) => void;
}

function ModelList({ title, task, models, chosen, choose }: ModelListProps) {
  return (
    <fieldset class="models">
      <legend>{title}</legend>
      {offered(models, task).map((one) => (
        <label key={one.name} class={one.refusal ? "refused" : ""}>
          <input
            type="radio"
            name={task}
            checked={one.name === chosen?.name}
            disabled={one.refusal !== null}
            onChange={() => choose(one)}
          />
          <span>
            <b class="strong">{one.name}</b> <span class="muted">{licenceOf(one)}</span>
            <span class="tiny">{speedOf(one)}</span>
            <span class="tiny">Trained on {one.trained_on}</span>
            {one.refusal && <span class="refusal">{one.refusal}</span>}
          </span>
        </label>
      ))}
    </fieldset>
  );
}
