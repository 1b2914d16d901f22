// Evaluations side by side: one number of all of them as a figure, every number as a table, and what is between them.
import { useEffect, useMemo, useState } from "preact/hooks";
import { percent } from "../format";
import { useKeys } from "../keys";
import { go, writeRoute } from "../route";
import { Failed, Keys, State } from "../ui/parts";
import { Disclaimer, evaluationTabs, type KeyHelp, Shell } from "../ui/shell";
import { AllEvaluations, numbersOf, type Row, readNumbers, whatOf } from "./all";
import { DifferenceTable } from "./differences";
import { Strip, Value, Wide } from "./figures";
import { type Found, MEASURE_NAMES, MEASURES, type MeasureName } from "./numbers";
import "./evaluation.css";

const HELP: KeyHelp[] = [{ keys: ["E"], does: "all evaluations" }];

interface Side {
  row: Row;
  found: Found;
}

export function CompareScreen({ ids }: { ids: readonly string[] }) {
  const all = useMemo(() => new AllEvaluations(), []);
  const [measure, setMeasure] = useState<MeasureName>("macro_f1");
  useEffect(() => {
    void all.load();
    void readNumbers(ids).catch(() => undefined);
  }, [all, ids]);
  useKeys((key) => {
    if (key === "e") go({ screen: "evaluations", clustering: null, truth: null });
    return key === "e";
  });
  const sides = ids.flatMap((id): Side[] => {
    const [row, found] = [all.rows.value.find((one) => one.evaluation.id === id), numbersOf(id)];
    return row && found ? [{ row, found }] : [];
  });
  return (
    <Shell
      crumb={<b>{ids.length} side by side</b>}
      tabs={evaluationTabs(false)}
      panel={<Panel sides={sides} measure={measure} choose={setMeasure} />}
      keyline={<Keys names={["E"]}>all evaluations</Keys>}
      help={HELP}
      note={all.note.value}
    >
      {all.problem.value ? (
        <Failed problem={all.problem.value} again={() => void all.load()} />
      ) : sides.length === 0 ? (
        <State title="Opening the evaluations">Those that have numbers are put side by side.</State>
      ) : (
        <Sides sides={sides} measure={measure} lacking={ids.length - sides.length} />
      )}
    </Shell>
  );
}

interface PanelProps {
  sides: readonly Side[];
  measure: MeasureName;
  choose: (measure: MeasureName) => void;
}

function Panel({ sides, measure, choose }: PanelProps) {
  return (
    <>
      <section>
        <h2>
          <label for="measure">Which number</label>
        </h2>
        <select
          id="measure"
          class="field"
          value={measure}
          onChange={(event) => choose(event.currentTarget.value as MeasureName)}
        >
          {MEASURE_NAMES.map((name) => (
            <option key={name} value={name} selected={name === measure}>
              {MEASURES[name][0]}
            </option>
          ))}
        </select>
        <p class="tiny after">{MEASURES[measure][1]}</p>
      </section>
      <section>
        <h2>What can be said of differences</h2>
        <p class="tiny">{unlike(sides) ?? ALIKE} Each interval of a number is of its own evaluation.</p>
      </section>
      <section class="last">
        <Disclaimer />
      </section>
    </>
  );
}

const ALIKE = "All are against one truth: differences over the same cells have intervals of their own.";

/** Why these cannot be compared, where they cannot. */
function unlike(sides: readonly Side[]): string | null {
  const truths = new Set(sides.map(({ row }) => row.evaluation.truth_id));
  const wanted = new Set(sides.map(({ row }) => JSON.stringify(row.evaluation.choices)));
  if (wanted.size > 1) return "These were measured in different ways, and cannot be compared.";
  if (truths.size > 1) return "These are against different truths: what is hard in one may be easy in another.";
  return null;
}

function nameOf({ row }: Side): string {
  return `${row.slides}: ${whatOf(row.evaluation)}`;
}

function Sides({ sides, measure, lacking }: { sides: readonly Side[]; measure: MeasureName; lacking: number }) {
  const [warning, [first, ...others]] = [
    unlike(sides),
    sides.map((side) => ({ id: side.found.id, name: nameOf(side) })),
  ];
  return (
    <>
      <h1 class="page-title">{sides.length} evaluations side by side</h1>
      {warning && <p class="caveat">{warning}</p>}
      {lacking > 0 && <p class="caveat">{lacking} of those that were asked for have no numbers yet, or are gone.</p>}
      <section class="sheet lead" aria-labelledby="side-title">
        <h2 id="side-title">{MEASURES[measure][0]}</h2>
        <Wide label={`${MEASURES[measure][0]} of each`} kind="list">
          <thead>
            <tr>
              <th scope="col">measured</th>
              <th scope="col">
                <span class="unseen">where it lies between 0 and 1</span>
              </th>
              {["value", "one cluster for all", "clusters", "cells", "matched", "as published", "one cluster, so"].map(
                (word) => (
                  <th key={word} scope="col">
                    {word}
                  </th>
                ),
              )}
            </tr>
          </thead>
          <tbody>
            {sides.map((side) => (
              <Line key={side.found.id} side={side} measure={measure} />
            ))}
          </tbody>
        </Wide>
      </section>
      <section class="sheet" aria-labelledby="every-title">
        <h2 id="every-title">Every number</h2>
        <Wide label="Every number of each">
          <thead>
            <tr>
              <th scope="col">number</th>
              {sides.map((side) => (
                <th key={side.found.id} scope="col">
                  {nameOf(side)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {MEASURE_NAMES.map((name) => (
              <tr key={name}>
                <th scope="row">{MEASURES[name][0]}</th>
                {sides.map(({ found }) => (
                  <td key={found.id}>
                    <Value figure={found.honest[name]} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </Wide>
      </section>
      {!warning && first && others.length > 0 && <DifferenceTable first={first} others={others} />}
    </>
  );
}

function Line({ side, measure }: { side: Side; measure: MeasureName }) {
  const { honest, paper, match_rate, id } = side.found;
  const constant = honest.baselines.constant?.[measure];
  return (
    <tr>
      <th scope="row">
        <a href={writeRoute({ screen: "evaluation", id })}>{nameOf(side)}</a>
        <span class="tiny">{side.row.truth}</span>
      </th>
      <td>
        <Strip figure={honest[measure]} beside={[constant?.value ?? null]} />
      </td>
      <td class="own">
        <Value figure={honest[measure]} />
      </td>
      <td>
        <Value figure={constant} />
      </td>
      <td>{honest.cluster_count}</td>
      <td>{honest.accuracy.n}</td>
      <td>{percent(match_rate, 1)}</td>
      <td>{paper.accuracy.toFixed(4)}</td>
      <td>{paper.constant.toFixed(4)}</td>
    </tr>
  );
}
