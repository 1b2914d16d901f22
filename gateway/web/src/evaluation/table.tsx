// The honest table: every number with its interval, beside what costs nothing.
import { useState } from "preact/hooks";
import { Strip, Value, Wide } from "./figures";
import { BASELINES, baselinesOf, FIRST_MEASURES, type Found, intervalWords, MEASURE_NAMES, MEASURES } from "./numbers";

export function HonestTable({ found: { honest } }: { found: Found }) {
  const [all, setAll] = useState(false);
  const rivals = baselinesOf(honest);
  const names = all ? MEASURE_NAMES : MEASURE_NAMES.slice(0, FIRST_MEASURES);
  return (
    <section class="sheet lead" aria-labelledby="honest-title">
      <div class="row">
        <h2 id="honest-title">Honest numbers, beside what costs nothing</h2>
        <button type="button" class="link tiny" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "The first of them" : `All ${MEASURE_NAMES.length} numbers`}
        </button>
      </div>
      <Wide label="Honest numbers" kind="honest">
        <thead>
          <tr>
            <th scope="col">number</th>
            <th scope="col">
              <span class="unseen">where it lies between 0 and 1</span>
            </th>
            <th scope="col">measured</th>
            {rivals.map(([name]) => (
              <th key={name} scope="col">
                {BASELINES[name]}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {names.map((name) => (
            <tr key={name} data-measure={name}>
              <th scope="row">
                {MEASURES[name][0]}
                <span class="tiny">{MEASURES[name][1]}</span>
              </th>
              <td>
                <Strip figure={honest[name]} beside={rivals.map(([, of]) => of[name].value)} />
              </td>
              <td class="own">
                <Value figure={honest[name]} />
              </td>
              {rivals.map(([rival, of]) => (
                <td key={rival}>
                  <Value figure={of[name]} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </Wide>
      <p class="tiny">
        {intervalWords(honest)} Ceiling: {honest.ceiling.of}.
      </p>
    </section>
  );
}
