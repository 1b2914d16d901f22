// All evaluations: started here, opened from here, and put side by side.
import { useEffect, useMemo, useState } from "preact/hooks";
import { useEvents } from "../events";
import { countOf, percent, when } from "../format";
import { useKeys } from "../keys";
import { go, writeRoute } from "../route";
import { Failed, Keys, State } from "../ui/parts";
import { Disclaimer, evaluationTabs, type KeyHelp, Shell } from "../ui/shell";
import { AllEvaluations, numbersOf, type Row, whatOf } from "./all";
import { Strip, Value, Wide } from "./figures";
import { Start } from "./start";
import "./evaluation.css";

const HELP: KeyHelp[] = [
  { keys: ["M"], does: "measure against a truth" },
  { keys: ["C"], does: "put the chosen ones side by side" },
];

interface Props {
  clustering: string | null;
  truth: string | null;
}

export function EvaluationsScreen({ clustering, truth }: Props) {
  const all = useMemo(() => new AllEvaluations(), []);
  const [starting, setStarting] = useState(false);
  useEffect(() => {
    void all.load().then(() => (clustering || truth) && setStarting(true));
  }, [all, clustering, truth]);
  useEvents({
    job: (job) => void all.hear(job),
    deleted: (gone) => all.hearDeleted(gone),
    reopened: () => void all.load(),
  });
  const compare = () => all.chosen.value.size > 1 && go({ screen: "compare", ids: [...all.chosen.value] });
  useKeys((key) => {
    if (key === "m") setStarting(true);
    else if (key === "c") compare();
    else return false;
    return true;
  });
  const evaluations = all.evaluations.value;
  return (
    <Shell
      tabs={evaluationTabs(true)}
      panel={<Panel all={all} start={() => setStarting(true)} compare={compare} />}
      keyline={
        <>
          <Keys names={["M"]}>measure</Keys>
          <Keys names={["C"]}>side by side</Keys>
        </>
      }
      last={evaluations && countOf(evaluations.length, "evaluation")}
      help={HELP}
      note={all.note.value}
    >
      <Content all={all} start={() => setStarting(true)} />
      {starting && <Start all={all} clustering={clustering} brought={truth} done={() => setStarting(false)} />}
    </Shell>
  );
}

function Panel({ all, start, compare }: { all: AllEvaluations; start: () => void; compare: () => void }) {
  const count = all.chosen.value.size;
  const newest = all.newestOfEach();
  return (
    <>
      <section>
        <button type="button" class="btn main wide" aria-keyshortcuts="M" onClick={start}>
          Measure against a truth…
        </button>
      </section>
      <section>
        <h2>Side by side</h2>
        <p class="muted">Choose two or more in the table.</p>
        <p class="after">
          <button type="button" class="btn wide" disabled={count < 2} aria-keyshortcuts="C" onClick={compare}>
            {count < 2 ? "Compare" : `Compare ${count}`}
          </button>
        </p>
        {newest.length > 1 && (
          <p class="after">
            <a class="btn wide" href={writeRoute({ screen: "compare", ids: newest })}>
              The newest of each clustering
            </a>
          </p>
        )}
      </section>
      <section class="last">
        <Disclaimer />
      </section>
    </>
  );
}

function Content({ all, start }: { all: AllEvaluations; start: () => void }) {
  if (all.problem.value) return <Failed problem={all.problem.value} again={() => void all.load()} />;
  if (!all.evaluations.value) return <State title="Opening the evaluations">They are on their way.</State>;
  if (all.rows.value.length === 0) {
    return (
      <State title="Nothing was measured yet" action={{ label: "Measure against a truth…", act: start }}>
        Bring what somebody knows of cells, and see what clusters or labels are worth, beside what costs nothing.
      </State>
    );
  }
  return (
    <>
      <h1 class="page-title">Evaluations</h1>
      <section class="sheet" aria-label="All evaluations">
        <Wide label="Evaluations, the newest first" kind="list">
          <thead>
            <tr>
              <th scope="col">
                <span class="unseen">chosen</span>
              </th>
              <th scope="col">measured</th>
              <th scope="col">
                <span class="unseen">where its macro-F1 lies</span>
              </th>
              {["macro-F1", "one cluster", "accuracy", "one cluster", "matched"].map((word, at) => (
                <th key={at} scope="col">
                  {word}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {all.rows.value.map((row) => (
              <Line key={row.evaluation.id} row={row} all={all} />
            ))}
          </tbody>
        </Wide>
        <p class="tiny">“One cluster” is what everything in one cluster scores on the same cells.</p>
      </section>
    </>
  );
}

function Line({ row, all }: { row: Row; all: AllEvaluations }) {
  const { evaluation: one, job } = row;
  const found = numbersOf(one.id);
  const state = job?.state ?? one.state;
  const constant = found?.honest.baselines.constant;
  const name = `${whatOf(one)} of ${row.slides} against ${row.truth}`;
  return (
    <tr data-state={state}>
      <td>
        <input
          type="checkbox"
          aria-label={`Choose ${name}, ${when(one.created_at)}`}
          disabled={!found}
          checked={all.chosen.value.has(one.id)}
          onChange={(event) => all.choose(one.id, event.currentTarget.checked)}
        />
      </td>
      <th scope="row">
        <a href={writeRoute({ screen: "evaluation", id: one.id })}>
          {row.slides}: {whatOf(one)}
        </a>
        <span class="tiny">
          {row.truth} · {when(one.created_at)}
        </span>
      </th>
      {found ? (
        <>
          <td>
            <Strip figure={found.honest.macro_f1} beside={[constant?.macro_f1.value ?? null]} />
          </td>
          <td class="own">
            <Value figure={found.honest.macro_f1} />
          </td>
          <td>
            <Value figure={constant?.macro_f1} />
          </td>
          <td class="own">
            <Value figure={found.honest.accuracy} />
          </td>
          <td>
            <Value figure={constant?.accuracy} />
          </td>
          <td>{percent(found.match_rate, 1)}</td>
        </>
      ) : (
        <td colSpan={6} class="words">
          {state === "succeeded" ? "Its numbers are on their way." : stateWords(state)}
        </td>
      )}
    </tr>
  );
}

function stateWords(state: string): string {
  if (state === "failed") return "It could not be measured: open it to see why, and to try again.";
  if (state === "cancelled") return "Stopped.";
  return state === "queued" ? "Waiting for its turn." : "Being measured.";
}
