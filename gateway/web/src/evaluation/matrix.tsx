// Confusion matrices: rows are what people said, columns what a cell's cluster was taken for.
import { count } from "../format";
import { Wide } from "./figures";
import type { Confusion } from "./numbers";

/** So many classes are shown, those with the most cells; the data have all. */
const MOST_CLASSES = 40;

interface Props {
  label: string;
  confusion: Confusion;
  /** What the last column counts. */
  beside: string;
}

export function Matrix({ label, confusion, beside }: Props) {
  const rest = confusion.none ?? confusion["?"] ?? [];
  const sizes = confusion.matrix.map((row, at) => row.reduce((sum, one) => sum + one, 0) + (rest[at] ?? 0));
  const order = sizes.map((_, at) => at).sort((a, b) => (sizes[b] ?? 0) - (sizes[a] ?? 0));
  const chosen = order.slice(0, MOST_CLASSES).sort((a, b) => a - b);
  const left = sizes.length - chosen.length;
  return (
    <>
      <Wide label={label} kind="matrix">
        <thead>
          <tr>
            <th scope="col">human ↓ aligned →</th>
            {chosen.map((at) => (
              <th key={at} scope="col">
                {confusion.labels[at]}
              </th>
            ))}
            <th scope="col">{beside}</th>
          </tr>
        </thead>
        <tbody>
          {chosen.map((at) => (
            <tr key={at}>
              <th scope="row">{confusion.labels[at]}</th>
              {chosen.map((other) => (
                <Cell
                  key={other}
                  cells={confusion.matrix[at]?.[other] ?? 0}
                  of={sizes[at] ?? 0}
                  isRight={at === other}
                />
              ))}
              <Cell cells={rest[at] ?? 0} of={sizes[at] ?? 0} isRight={false} />
            </tr>
          ))}
        </tbody>
      </Wide>
      {left > 0 && (
        <p class="tiny">
          The {MOST_CLASSES} largest of {count(sizes.length)} classes; the data have all.
        </p>
      )}
    </>
  );
}

function Cell({ cells, of, isRight }: { cells: number; of: number; isRight: boolean }) {
  if (cells === 0) return <td class="nothing">0</td>;
  const share = Math.round((100 * cells) / Math.max(1, of));
  return (
    <td class={isRight ? "right" : "wrong"} style={{ "--share": `${share}%` }}>
      {count(cells)}
    </td>
  );
}
