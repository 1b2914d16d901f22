// Figures as plain SVG. Each stands beside the numbers that it draws, so that nobody needs the picture.
import { type Figure, interval, shown } from "./numbers";

/** Where a number lies between 0 and 1: its interval, itself, and what costs nothing as ticks. */
export function Strip({ figure, beside }: { figure: Figure; beside: readonly (number | null)[] }) {
  if (figure.value === null) return null;
  const x = (value: number) => 2 + 116 * Math.min(1, Math.max(0, value));
  return (
    <svg class="strip" viewBox="0 0 120 16" width="120" height="16" aria-hidden="true">
      <path class="axis" d="M2 8H118" />
      {figure.low !== null && figure.high !== null && (
        <rect class="band" x={x(figure.low)} y="4" width={Math.max(1, x(figure.high) - x(figure.low))} height="8" />
      )}
      {beside.map((one, at) => one !== null && <path key={at} class="tick" d={`M${x(one)} 3V13`} />)}
      <circle class="point" cx={x(figure.value)} cy="8" r="3.5" />
    </svg>
  );
}

export interface Line {
  name: string;
  points: readonly { x: number; figure: Figure }[];
  /** The first is what it is about, the others stand beside it. */
  kind: "own" | "beside" | "ideal";
}

interface ChartProps {
  title: string;
  lines: readonly Line[];
  ticks: readonly { x: number; word: string }[];
  axis: string;
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [520, 260, 36, 12, 10, 40];
const DASHES = ["", "2 3", "7 3", "7 3 2 3"];

/** Lines over 0 to 1 each way; the band is the first line's interval. */
export function Chart({ title, lines, ticks, axis }: ChartProps) {
  const x = (value: number) => LEFT + value * (WIDTH - LEFT - RIGHT);
  const y = (value: number) => TOP + (1 - value) * (HEIGHT - TOP - BOTTOM);
  const path = (line: Line) =>
    line.points
      .filter(({ figure }) => figure.value !== null)
      .map((one, at) => `${at ? "L" : "M"}${x(one.x).toFixed(1)} ${y(one.figure.value ?? 0).toFixed(1)}`)
      .join("");
  const banded = (lines[0]?.points ?? []).filter(({ figure }) => figure.low !== null && figure.high !== null);
  const edge = (side: "low" | "high") =>
    banded.map((one) => `${x(one.x).toFixed(1)} ${y(one.figure[side] ?? 0).toFixed(1)}`);
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${title}; the table below it has its numbers`}>
        {[0, 0.25, 0.5, 0.75, 1].map((height) => (
          <g key={height}>
            <path class="axis" d={`M${LEFT} ${y(height)}H${WIDTH - RIGHT}`} />
            <text x={LEFT - 8} y={y(height) + 4} text-anchor="end">
              {height}
            </text>
          </g>
        ))}
        {ticks.map((tick) => (
          <text key={tick.word} x={x(tick.x)} y={HEIGHT - BOTTOM + 18} text-anchor="middle">
            {tick.word}
          </text>
        ))}
        <text x={(LEFT + WIDTH - RIGHT) / 2} y={HEIGHT - 4} text-anchor="middle">
          {axis}
        </text>
        {banded.length > 1 && <path class="band" d={`M${[...edge("low"), ...edge("high").reverse()].join("L")}Z`} />}
        {lines.map((line, at) => (
          <path key={line.name} class={`line ${line.kind}`} stroke-dasharray={DASHES[at % 4]} d={path(line)} />
        ))}
      </svg>
      <ul class="legend">
        {lines.map((line, at) => (
          <li key={line.name}>
            <svg width="28" height="8" aria-hidden="true">
              <path class={`line ${line.kind}`} stroke-dasharray={DASHES[at % 4]} d="M0 4H28" />
            </svg>
            {line.name}
          </li>
        ))}
      </ul>
      <ChartTable title={title} lines={lines} axis={axis} ticks={ticks} />
    </figure>
  );
}

function ChartTable({ title, lines, axis, ticks }: ChartProps) {
  const at = (line: Line, x: number) => line.points.find((one) => Math.abs(one.x - x) < 1e-9)?.figure;
  const named = ticks.filter((tick) => lines.some((line) => at(line, tick.x)));
  if (named.length === 0) return null;
  return (
    <details class="tiny">
      <summary>As a table</summary>
      <Wide label={title}>
        <thead>
          <tr>
            <th scope="col">{axis}</th>
            {lines.map((line) => (
              <th key={line.name} scope="col">
                {line.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {named.map((tick) => (
            <tr key={tick.word}>
              <th scope="row">{tick.word}</th>
              {lines.map((line) => (
                <td key={line.name}>{shown(at(line, tick.x)?.value)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </Wide>
    </details>
  );
}

/** The head of a table whose columns are called so. */
export function Head({ words }: { words: readonly string[] }) {
  return (
    <thead>
      <tr>
        {words.map((word) => (
          <th key={word} scope="col">
            {word}
          </th>
        ))}
      </tr>
    </thead>
  );
}

/** A table that moves sideways by itself where the page is too narrow. */
export function Wide({
  label,
  children,
  kind = "",
}: {
  label: string;
  children: preact.ComponentChildren;
  kind?: string;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what moves sideways has to be reached by keys
    <section class={`wide-table ${kind}`} tabIndex={0} aria-label={`Table: ${label}`}>
      <table>
        <caption class="unseen">{label}</caption>
        {children}
      </table>
    </section>
  );
}

/** A number in a cell of a table, its interval below it. */
export function Value({ figure, brief = false }: { figure: Figure | undefined; brief?: boolean }) {
  if (!figure || figure.value === null) return <span class="muted">not known</span>;
  return (
    <>
      <b>{shown(figure.value)}</b>
      {!brief && <span class="tiny">{interval(figure)}</span>}
    </>
  );
}
