// What stands below the honest table: curves, classes, parts, confidence, cells in no cluster.
import { count, countOf, percent } from "../format";
import { Chart, Head, type Line, Value, Wide } from "./figures";
import { Matrix } from "./matrix";
import { BASELINES, baselinesOf, type CurvePoint, type Found, type PartScores } from "./numbers";

/** Classes with a smaller share of the cells are rare; where there are none, the rarest stand for them. */
const RARE_SHARE = 0.05;
const TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

export function Curves({ found: { honest } }: { found: Found }) {
  const last = Math.max(2, ...honest.curve.map((one) => one.clicks));
  const x = (clicks: number) => Math.log(clicks) / Math.log(last);
  const ticks = TICKS.filter((tick) => tick <= last).map((tick) => ({ x: x(tick), word: String(tick) }));
  const lines = (name: "macro_f1" | "accuracy"): Line[] => [
    line("measured", "own", honest.curve, name),
    ...baselinesOf(honest).map(([rival, of]) => line(BASELINES[rival], "beside", of.curve, name)),
  ];
  const line = (called: string, kind: Line["kind"], curve: readonly CurvePoint[], name: "macro_f1" | "accuracy") => ({
    name: called,
    kind,
    points: curve.map((one) => ({ x: x(one.clicks), figure: one[name] })),
  });
  return (
    <section class="sheet" aria-labelledby="curves-title">
      <h2 id="curves-title">By clicks</h2>
      <p class="muted">A click names a cluster, the largest first, or labels a single cell.</p>
      <div class="charts">
        <Chart title="macro-F1 by clicks" lines={lines("macro_f1")} ticks={ticks} axis="clicks" />
        <Chart title="accuracy by clicks" lines={lines("accuracy")} ticks={ticks} axis="clicks" />
      </div>
    </section>
  );
}

export function Classes({ found: { honest } }: { found: Found }) {
  return (
    <section class="sheet" aria-labelledby="classes-title">
      <h2 id="classes-title">By class</h2>
      <Wide label="By class">
        <Head words={["class", "cells", "recall", "precision", "F1", "recall of one cluster for all"]} />
        <tbody>
          {honest.classes.map((one) => (
            <tr key={one.class}>
              <th scope="row">
                {one.class}
                {honest.rare_classes.includes(one.class) && (
                  <span class="tiny">{one.recall.n < RARE_SHARE * honest.accuracy.n ? "rare" : "rarest"}</span>
                )}
              </th>
              <td>{count(one.recall.n)}</td>
              <td>
                <Value figure={one.recall} />
              </td>
              <td>
                <Value figure={one.precision} />
              </td>
              <td>
                <Value figure={one.f1} />
              </td>
              <td>
                <Value figure={one.baselines.constant.recall} />
              </td>
            </tr>
          ))}
        </tbody>
      </Wide>
      <h3>Cells by class, and by the class that their cluster gives them</h3>
      <Matrix
        label="Cells by class (rows) and by the class that their cluster gives them (columns)"
        confusion={honest.confusion}
        beside="none"
      />
    </section>
  );
}

const PARTS = ["slides", "batches", "tissues", "species"] as const;
/** So many rows are shown, the lowest first; the data have all. */
const LISTED = 100;

export function Parts({ found: { honest } }: { found: Found }) {
  return (
    <>
      {PARTS.map((plural) => {
        const parts = honest[plural];
        return parts && parts.length > 1 ? <Part key={plural} plural={plural} parts={parts} /> : null;
      })}
    </>
  );
}

function Part({ plural, parts }: { plural: (typeof PARTS)[number]; parts: readonly PartScores[] }) {
  const lowest = [...parts].sort((a, b) => (a.macro_f1.value ?? 0) - (b.macro_f1.value ?? 0)).slice(0, LISTED);
  return (
    <section class="sheet" aria-labelledby={`${plural}-title`}>
      <h2 id={`${plural}-title`}>By {plural}, the lowest first</h2>
      <Wide label={`By ${plural}`}>
        <Head words={["name", "cells", "macro-F1", "accuracy", "macro-F1 of one cluster", "accuracy of one cluster"]} />
        <tbody>
          {lowest.map((one) => (
            <tr key={one.name}>
              <th scope="row">{one.name}</th>
              <td>{count(one.accuracy.n)}</td>
              <td>
                <Value figure={one.macro_f1} />
              </td>
              <td>
                <Value figure={one.accuracy} />
              </td>
              <td>
                <Value figure={one.baselines.constant.macro_f1} />
              </td>
              <td>
                <Value figure={one.baselines.constant.accuracy} />
              </td>
            </tr>
          ))}
        </tbody>
      </Wide>
      {parts.length > LISTED && (
        <p class="tiny">
          {LISTED} of {count(parts.length)}; the data have all.
        </p>
      )}
    </section>
  );
}

const NOISE = { as_error: "wrong", own_cluster: "a cluster of their own", left_out: "left out" } as const;

export function Noise({ found: { honest } }: { found: Found }) {
  const { noise } = honest;
  if (noise.cell_count === 0) return null;
  return (
    <section class="sheet" aria-labelledby="noise-title">
      <h2 id="noise-title">Cells in no cluster</h2>
      <p class="muted">
        {countOf(noise.cell_count, "cell")} ({percent(noise.share, 1)}) {noise.cell_count === 1 ? "is" : "are"} in none.
        Everywhere else here they are wrong.
      </p>
      <Wide label="Cells in no cluster">
        <Head words={["counted as", "macro-F1", "accuracy", "AMI"]} />
        <tbody>
          {(Object.keys(NOISE) as (keyof typeof NOISE)[]).map((name) => (
            <tr key={name}>
              <th scope="row">{NOISE[name]}</th>
              {(["macro_f1", "accuracy", "ami"] as const).map((of) => (
                <td key={of}>
                  <Value figure={noise[name]?.[of]} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </Wide>
    </section>
  );
}

const TENTHS = [0, 0.2, 0.4, 0.6, 0.8, 1].map((x) => ({ x, word: String(x) }));
const sure = (value: number) => ({ x: value, figure: { value, low: null, high: null, n: 0 } });

export function Confidence({ found: { honest } }: { found: Found }) {
  if (!honest.calibration) return null;
  const coverage = (honest.coverage ?? []).map((one) => ({ x: one.coverage.value ?? 0, figure: one.accuracy }));
  const bins = honest.calibration.bins.map((one) => ({ x: one.confidence, figure: one.accuracy }));
  return (
    <section class="sheet" aria-labelledby="confidence-title">
      <h2 id="confidence-title">Confidence</h2>
      <p class="muted">
        Mean distance between how sure clusters are and how many of their cells are right:{" "}
        <Value figure={honest.calibration.error} />
      </p>
      <div class="charts">
        {coverage.length > 0 && (
          <Chart
            title="accuracy of the surest cells by their share"
            lines={[{ name: "measured", kind: "own", points: coverage }]}
            ticks={TENTHS}
            axis="share of all cells, the surest first"
          />
        )}
        <Chart
          title="share of right cells by confidence"
          lines={[
            { name: "measured", kind: "own", points: bins },
            { name: "as it should be", kind: "ideal", points: [sure(0), sure(1)] },
          ]}
          ticks={TENTHS}
          axis="confidence"
        />
      </div>
    </section>
  );
}
