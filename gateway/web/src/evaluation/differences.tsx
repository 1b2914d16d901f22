// How much better one evaluation is than others: the same slides are drawn for both, so that differences have intervals.
import { useEffect, useState } from "preact/hooks";
import { api, asProblem, titleOf } from "../api";
import { count } from "../format";
import type { Problem } from "../types";
import { Head, Value, Wide } from "./figures";
import { type Differences, isProblem, MEASURE_NAMES, MEASURES, verdict } from "./numbers";

interface Named {
  id: string;
  name: string;
}

type Answers = ReadonlyMap<string, Differences | Problem>;

export function DifferenceTable({ first, others }: { first: Named; others: readonly Named[] }) {
  const answers = useDifferences(first.id, others.map((one) => one.id).join());
  const told = others.flatMap((other) => {
    const answer = answers.get(other.id);
    return answer && !isProblem(answer) ? [{ other, answer }] : [];
  });
  const refused = others.flatMap((other) => {
    const answer = answers.get(other.id);
    return answer && isProblem(answer) ? [{ other, answer }] : [];
  });
  return (
    <section class="sheet" aria-labelledby="minus-title">
      <h2 id="minus-title">{first.name}, minus each of the others</h2>
      <p class="muted" role="status">
        {answers.size < others.length
          ? `Drawing the same slides for both: ${answers.size} of ${others.length} done.`
          : "Where an interval does not hold 0, one of the two is better."}
      </p>
      {refused.map(({ other, answer }) => (
        <p key={other.id} class="caveat">
          {other.name}: {answer.detail ?? titleOf(answer)}
        </p>
      ))}
      {told.length > 0 && (
        <Wide label="Differences">
          <Head words={["number", ...told.map(({ other }) => `minus ${other.name}`)]} />
          <tbody>
            {MEASURE_NAMES.map((name) => (
              <tr key={name}>
                <th scope="row">{MEASURES[name][0]}</th>
                {told.map(({ other, answer }) => (
                  <td key={other.id}>
                    <Value figure={answer.difference[name]} />
                    <span class="tiny">{verdict(answer.difference[name])}</span>
                  </td>
                ))}
              </tr>
            ))}
            <tr>
              <th scope="row">cells of both</th>
              {told.map(({ other, answer }) => (
                <td key={other.id}>{count(answer.cell_count)}</td>
              ))}
            </tr>
          </tbody>
        </Wide>
      )}
    </section>
  );
}

/** What is known so far; who leaves the page waits for nothing. */
function useDifferences(first: string, others: string): Answers {
  const [answers, setAnswers] = useState<Answers>(new Map());
  useEffect(() => {
    const left = new AbortController();
    const ask = async () => {
      let known: Answers = new Map();
      setAnswers(known);
      for (const id of others.split(",")) {
        const answer = await api.differences<Differences>(first, id, left.signal).catch(asProblem);
        if (left.signal.aborted) return;
        known = new Map(known).set(id, answer);
        setAnswers(known);
      }
    };
    void ask();
    return () => left.abort();
  }, [first, others]);
  return answers;
}
