// The published number, with what it rewards; then how the truth was matched, and how far its annotators agree.
import { count, countOf, percent } from "../format";
import { Head, Value, Wide } from "./figures";
import { Matrix } from "./matrix";
import { type Counted, type Figure, type Found, type PublishedPart, shown } from "./numbers";

const PARTS = ["batches", "tissues", "species"] as const;

export function AsPublished({ found: { paper } }: { found: Found }) {
  return (
    <section class="sheet" aria-labelledby="published-title">
      <h2 id="published-title">As published</h2>
      <p>
        Accuracy by tile, one to one: <b class="strong">{paper.accuracy.toFixed(4)}</b>. One cluster for everything:{" "}
        <b class="strong">{paper.constant.toFixed(4)}</b>. Of {countOf(paper.n_cells, "answer")}: as published, a cell
        of which two people said something counts twice.
      </p>
      <p class="caveat">{paper.caveat}</p>
      {PARTS.map((plural) => {
        const parts = paper[plural];
        return parts && parts.length > 1 ? <Part key={plural} plural={plural} parts={parts} /> : null;
      })}
      <Matrix
        label="Answers by class (rows) and by the class that the cell's cluster is aligned to in its tile (columns)"
        confusion={paper.confusion}
        beside="?"
      />
    </section>
  );
}

function Part({ plural, parts }: { plural: string; parts: readonly PublishedPart[] }) {
  return (
    <Wide label={`By ${plural}, as published`}>
      <Head words={[plural, "tiles", "answers", "accuracy", "one cluster"]} />
      <tbody>
        {parts.map((one) => (
          <tr key={one.batch ?? one.name}>
            <th scope="row">{one.batch ?? one.name}</th>
            <td>{count(one.n_tiles)}</td>
            <td>{count(one.n_cells)}</td>
            <td>{one.accuracy.toFixed(4)}</td>
            <td>{one.constant.toFixed(4)}</td>
          </tr>
        ))}
      </tbody>
    </Wide>
  );
}

const MATCHED = {
  missing: "assigned, and not in the truth",
  foreign: "in the truth, and not assigned",
  doubled: "more than once in the truth",
} as const;

export function Matched({ found: { match, match_rate } }: { found: Found }) {
  return (
    <section class="sheet" aria-labelledby="match-title">
      <h2 id="match-title">How the truth was matched</h2>
      <p class="muted">
        By {match.by}: {count(match.matched_count)} of {count(match.truth_count)} cells ({percent(match_rate, 1)}). All
        numbers speak of these alone.
      </p>
      <Wide label="How the truth was matched">
        <Head words={["cells", "count", "the first of them"]} />
        <tbody>
          {(Object.keys(MATCHED) as (keyof typeof MATCHED)[]).map((name) => (
            <MatchRow key={name} words={MATCHED[name]} of={match[name]} />
          ))}
        </tbody>
      </Wide>
    </section>
  );
}

function MatchRow({ words, of }: { words: string; of: Counted }) {
  return (
    <tr>
      <th scope="row">{words}</th>
      <td>{count(of.count)}</td>
      <td class="words">{of.first.slice(0, 5).join(", ")}</td>
    </tr>
  );
}

export function Agree({ found: { agreement } }: { found: Found }) {
  if (!agreement) return null;
  const all: [string, string, Figure | null][] = [
    ...agreement.cohen.map((one): [string, string, Figure] => [
      one.annotators.join(" and "),
      "Cohen's kappa",
      one.kappa,
    ]),
    ["all", "Fleiss' kappa", agreement.fleiss],
    ["all", "Krippendorff's alpha", agreement.krippendorff],
  ];
  return (
    <section class="sheet" aria-labelledby="agree-title">
      <h2 id="agree-title">How far annotators agree</h2>
      <p class="muted">
        {count(agreement.several_count)} cells were labelled by two or more. A truth is no better than this.
      </p>
      <Wide label="How far annotators agree">
        <Head words={["annotators", "number", "value"]} />
        <tbody>
          {all.map(([who, name, figure]) => (
            <tr key={`${who} ${name}`}>
              <th scope="row">{who}</th>
              <td>{name}</td>
              <td>{figure ? <Value figure={figure} /> : shown(null)}</td>
            </tr>
          ))}
        </tbody>
      </Wide>
    </section>
  );
}
