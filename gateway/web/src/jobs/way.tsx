// How cells of the next slides are found, beside where they are dropped.
import { useState } from "preact/hooks";
import { askedOf, chosenWords, licenceOf, modelOf, speedOf } from "./choices";
import { type Asking, JobForm } from "./form";
import type { Home } from "./store";

export function Way({ home }: { home: Home }) {
  const [asking, setAsking] = useState(false);
  const models = home.models.value;
  const chosen = home.chosen.value;
  const segmenter = modelOf(models, "segmenter", chosen.segmenter);
  if (!segmenter) return null;
  const words = chosenWords(askedOf(chosen, segmenter));
  return (
    <section>
      <div class="row">
        <h2>How cells are found</h2>
        <button type="button" class="link tiny" onClick={() => setAsking(true)}>
          Change
        </button>
      </div>
      <p class="after">
        <b class="strong">{segmenter.name}</b>
      </p>
      <p class="tiny">{[licenceOf(segmenter), speedOf(segmenter)].join(" · ")}</p>
      {words && <p class="tiny">{words}</p>}
      {asking && <JobForm asking={forNewOnes(home)} models={models} done={() => setAsking(false)} />}
    </section>
  );
}

function forNewOnes(home: Home): Asking {
  return {
    title: "How cells are found",
    says: "In slides that you add from now on, until this page is loaded again.",
    yes: "Use for new slides",
    first: home.chosen.value,
    act: async (chosen) => {
      home.chosen.value = chosen;
      return null;
    },
  };
}
