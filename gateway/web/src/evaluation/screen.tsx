// One evaluation: the honest table first, the published number with its caveat after everything else.
import { useEffect, useMemo, useState } from "preact/hooks";
import { api, titleOf } from "../api";
import { useEvents } from "../events";
import { count, countOf, percent, when } from "../format";
import { useKeys } from "../keys";
import { go, writeRoute } from "../route";
import type { EvaluationNumbers, Job } from "../types";
import { Ask } from "../ui/ask";
import { Failed, Keys, State } from "../ui/parts";
import { Disclaimer, evaluationTabs, type KeyHelp, Shell } from "../ui/shell";
import { type Found, interval, isFound, shown } from "./numbers";
import { Tiles } from "./overlay";
import { Agree, AsPublished, Matched } from "./published";
import { Classes, Confidence, Curves, Noise, Parts } from "./sections";
import { EvaluationScene, measuredWords } from "./store";
import { HonestTable } from "./table";
import "./evaluation.css";

const HELP: KeyHelp[] = [
  { keys: ["R"], does: "open the report" },
  { keys: ["E"], does: "all evaluations" },
  { keys: ["Tab"], does: "go through tables, tiles and buttons" },
];

export function EvaluationScreen({ id }: { id: string }) {
  const scene = useMemo(() => new EvaluationScene(id), [id]);
  useEffect(() => void scene.load(), [scene]);
  useEvents({
    job: (job) => void scene.hear(job),
    deleted: (gone) => gone.id === id && void scene.load(),
    reopened: () => void scene.load(),
  });
  const one = scene.evaluation.value;
  const found = one && isFound(one) ? one : null;
  useKeys((key) => {
    if (key === "e") go({ screen: "evaluations", clustering: null, truth: null });
    else if (key === "r" && found) window.open(api.report(id), "_blank", "noopener");
    else return false;
    return true;
  });
  return (
    <Shell
      crumb={one && <b>{measuredWords(one, scene.clustering.value)}</b>}
      tabs={evaluationTabs(false)}
      actions={found && <Downloads id={id} />}
      panel={one && <Panel scene={scene} one={one} found={found} />}
      keyline={
        <>
          <Keys names={["R"]}>report</Keys>
          <Keys names={["E"]}>all evaluations</Keys>
        </>
      }
      last={one && <span role="status">{one.finished_at ? `measured ${when(one.finished_at)}` : one.state}</span>}
      help={HELP}
    >
      <Content scene={scene} one={one} found={found} />
    </Shell>
  );
}

function Downloads({ id }: { id: string }) {
  return (
    <>
      <a class="btn" href={api.evaluationFile(id)} download={`evaluation-${id}.json`}>
        Data
      </a>
      <a class="btn" href={api.report(id)} download={`report-${id}.html`}>
        Download the report
      </a>
      <a class="btn main" href={api.report(id)} target="_blank" rel="noopener">
        Report
      </a>
    </>
  );
}

interface Props {
  scene: EvaluationScene;
  one: EvaluationNumbers | null;
  found: Found | null;
}

function Content({ scene, one, found }: Props) {
  const problem = scene.problem.value;
  if (problem) {
    const instead = {
      label: "All evaluations",
      act: () => go({ screen: "evaluations", clustering: null, truth: null }),
    };
    return <Failed problem={problem} again={() => void scene.load()} instead={instead} />;
  }
  const job = scene.job.value;
  if (!one || !job) return <State title="Opening the evaluation">Its numbers are on their way.</State>;
  if (!found) return <Working scene={scene} job={job} />;
  const clustering = scene.clustering.value;
  return (
    <>
      <h1 class="page-title">What {one.labelling_id ? "these labels" : "these clusters"} are worth</h1>
      {found.remarks.map((line) => (
        <p key={line} class="caveat">
          {line[0]?.toUpperCase()}
          {line.slice(1)}.
        </p>
      ))}
      <HonestTable found={found} />
      <Curves found={found} />
      <Classes found={found} />
      <Parts found={found} />
      <Noise found={found} />
      <Confidence found={found} />
      <AsPublished found={found} />
      {clustering && <Tiles found={found} clustering={clustering} />}
      <Agree found={found} />
      <Matched found={found} />
    </>
  );
}

function Panel({ scene, one, found }: Props & { one: EvaluationNumbers }) {
  const [asking, setAsking] = useState(false);
  const truth = scene.truth.value;
  return (
    <>
      {found && <Big found={found} />}
      <section>
        <h2>Measured</h2>
        <p>{measuredWords(one, scene.clustering.value)}</p>
        <p class="tiny">
          against {truth ? `${truth.name}, ${countOf(truth.row_count, "row")} of ${truth.kind}` : "a truth"}
        </p>
        {one.labelling_seq !== null && <p class="tiny">labels after {countOf(one.labelling_seq, "answer")}</p>}
        {one.labelling_id && (
          <p class="tiny">
            <a href={writeRoute({ screen: "board", labelling: one.labelling_id })}>Open the board</a>
          </p>
        )}
      </section>
      <section class="last">
        <button type="button" class="btn wide" onClick={() => setAsking(true)}>
          Delete the evaluation…
        </button>
        <Disclaimer />
      </section>
      {asking && (
        <Ask
          question={{
            title: "Delete this evaluation?",
            goes: [
              "Its numbers and its report.",
              "The truth, the clusters and their labels stay.",
              "This cannot be undone.",
            ],
            yes: "Delete it",
            act: () => void remove(scene),
          }}
          done={() => setAsking(false)}
        />
      )}
    </>
  );
}

async function remove(scene: EvaluationScene): Promise<void> {
  await scene.remove();
  if (!scene.refusal.value) go({ screen: "evaluations", clustering: null, truth: null });
}

function Big({ found }: { found: Found }) {
  const { honest, named } = found;
  const constant = honest.baselines.constant?.macro_f1;
  return (
    <>
      <section>
        <h2>macro-F1</h2>
        <p class="big">{shown(honest.macro_f1.value)}</p>
        <p class="tiny">{interval(honest.macro_f1)}</p>
        <p class="muted">One cluster for all: {shown(constant?.value)}</p>
      </section>
      {named && (
        <section>
          <h2>By the labels' own names</h2>
          <p>
            {shown(named.accuracy.value)} <span class="tiny">accuracy, {interval(named.accuracy)}</span>
          </p>
          <p class="tiny">The commonest class for all: {shown(named.baselines.constant.accuracy.value)}</p>
        </section>
      )}
      <section>
        <h2>Matched</h2>
        <p>
          {percent(found.match_rate, 1)} of {countOf(found.match.truth_count, "cell")} of the truth
        </p>
        <p class="tiny">
          {count(honest.accuracy.n)} cells, which lie in {countOf(honest.cluster_count, "cluster")}
        </p>
      </section>
    </>
  );
}

/** While there are no numbers: how far it is, or why there are none. */
function Working({ scene, job }: { scene: EvaluationScene; job: Job }) {
  const refusal = scene.refusal.value;
  const stage = job.stages.find((one) => one.stage === "evaluate");
  const share = stage && stage.total_count > 0 ? stage.done_count / stage.total_count : 0;
  const isOver = job.state === "failed" || job.state === "cancelled";
  return (
    <section class="sheet lead working" data-state={job.state}>
      <h1 class="page-title">{titleOfState(job)}</h1>
      {job.error && (
        <p role="alert">
          <b class="strong">{titleOf(job.error)}.</b> <span class="muted">{job.error.detail}</span>
        </p>
      )}
      {!isOver && (
        <>
          <progress class="meter" max={1} value={share} aria-label="Measured so far" />
          <p class="muted" role="status">
            {job.waiting_for
              ? `Waiting, and going on by itself: ${job.waiting_for}`
              : stage && stage.total_count > 0
                ? `Step ${stage.done_count} of ${stage.total_count}`
                : "Waiting for its turn"}
          </p>
        </>
      )}
      <p>
        {isOver ? (
          <button type="button" class="btn main" onClick={() => void scene.retry()}>
            Try again
          </button>
        ) : (
          <button
            type="button"
            class="btn"
            disabled={job.state === "cancelling" || job.state === "succeeded"}
            onClick={() => void scene.cancel()}
          >
            Cancel
          </button>
        )}
      </p>
      {refusal && (
        <p class="refusal" role="alert">
          {titleOf(refusal)}. {refusal.detail}
        </p>
      )}
    </section>
  );
}

function titleOfState(job: Job): string {
  if (job.state === "failed") return "It could not be measured";
  if (job.state === "cancelled") return "Stopped";
  if (job.state === "cancelling") return "Stopping";
  return "Measuring";
}
