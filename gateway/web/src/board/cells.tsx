// The cells of a page: real buttons, cut from one sheet, at one scale.

import { address } from "../api";
import { percent } from "../format";
import type { CellPicture, Klass, Page, PageCell } from "../types";
import { type Choice, commonest, ODD, standing, wordFor } from "./decide";
import { NO_CLUSTER } from "./words";

/** Shows one cell of a sheet; percentages, so that any size of element fits. */
export function crop(cell: CellPicture): Record<string, string> {
  const share = (index: number, count: number) => (count > 1 ? `${(100 * index) / (count - 1)}%` : "0%");
  return {
    backgroundImage: `url("${address(cell.sheet)}")`,
    backgroundSize: `${100 * cell.column_count}% ${100 * cell.line_count}%`,
    backgroundPosition: `${share(cell.column, cell.column_count)} ${share(cell.line, cell.line_count)}`,
  };
}

function outlinePath(outline: readonly [number, number][]): string {
  return outline.length < 3 ? "" : `M${outline.map(([x, y]) => `${x} ${y}`).join("L")}Z`;
}

/** Pales what is not the cell; its edge is soft, so that the border of the nucleus stays visible. */
function Surroundings({ cell }: { cell: CellPicture }) {
  const path = outlinePath(cell.outline);
  if (!path) return null;
  const id = `around-${cell.row}`;
  return (
    <svg class="around" viewBox={`0 0 ${cell.cell_px} ${cell.cell_px}`} aria-hidden="true">
      <defs>
        <mask id={id}>
          <rect width="100%" height="100%" fill="white" />
          <path d={path} fill="black" stroke="black" stroke-width="14" stroke-linejoin="round" class="soft" />
        </mask>
      </defs>
      <rect width="100%" height="100%" fill="var(--veil)" mask={`url(#${id})`} />
    </svg>
  );
}

interface CellsProps {
  page: Page;
  choice: Choice;
  classes: readonly Klass[];
  context: boolean;
  /** Which cluster a cell in none is like. */
  near: (cell: PageCell) => string;
  touch: (row: number) => void;
}

export function Cells({ page, choice, classes, context, near, touch }: CellsProps) {
  const isOfNoise = page.place.node_id === NO_CLUSTER;
  const usual = commonest(page.cells.map((cell) => standing(cell, { ...choice, marks: new Map() })));
  return (
    <ul class={`cells ${context ? "context" : ""}`} aria-label="Cells of this page">
      {page.cells.map((cell) => (
        <li key={cell.row}>
          <CellButton cell={cell} choice={choice} classes={classes} usual={usual} touch={touch} />
          {isOfNoise && <span class="tiny near">{near(cell)}</span>}
        </li>
      ))}
    </ul>
  );
}

interface CellProps {
  cell: PageCell;
  choice: Choice;
  classes: readonly Klass[];
  usual: number | null;
  touch: (row: number) => void;
}

function CellButton({ cell, choice, classes, usual, touch }: CellProps) {
  const mark = standing(cell, choice);
  const klass = classes.find((one) => one.number === mark);
  const isMarked = choice.marks.has(cell.row);
  const isSelected = choice.selected === cell.row;
  const differs = isMarked || (mark !== null && mark !== usual);
  const word = wordFor(mark, classes);
  const says = isMarked
    ? word
    : mark === null
      ? choice.earlier
        ? word
        : "no pre-label"
      : choice.earlier?.has(cell.row)
        ? `named ${word}`
        : `pre-label ${word}, ${percent(cell.confidence ?? 0)} sure`;
  const classNames = ["cell", "tinted", klass ? "" : "bare", differs ? "differs" : "", isSelected ? "selected" : ""];
  return (
    <button
      type="button"
      class={classNames.join(" ")}
      style={{ "--c": klass?.color ?? "transparent" }}
      aria-pressed={isMarked}
      aria-keyshortcuts={cell.letter}
      aria-label={`Cell ${cell.letter}: ${says}`}
      data-row={cell.row}
      onClick={() => touch(cell.row)}
    >
      <span class="crop" style={crop(cell)} />
      <Surroundings cell={cell} />
      <kbd>{cell.letter}</kbd>
      {differs && <span class={`chip ${mark === ODD ? "odd" : "tinted"}`}>{word}</span>}
    </button>
  );
}
