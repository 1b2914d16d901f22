// One tile of the published number, cell by cell: green where people and the aligned cluster say the same, red where not.
import { useEffect, useRef, useState } from "preact/hooks";
import { api, asProblem, titleOf } from "../api";
import { count, countOf } from "../format";
import { outlineOf, readBlock } from "../slide/blocks";
import type { Box } from "../slide/camera";
import { coarsestZoom, TILE_PX, tilesIn } from "../slide/tiles";
import type { Clustering, Problem, Slide } from "../types";
import { Matrix } from "./matrix";
import type { Found, Published, PublishedTile } from "./numbers";

interface Cell {
  row: number;
  outline: Float32Array;
  human: string;
  /** Null where its cluster is one too many. */
  aligned: string | null;
}

interface Shown {
  slide: Slide;
  cells: Cell[];
  box: Box;
}

const nameOf = (tile: PublishedTile) => [tile.batch, tile.slide, tile.tile].filter(Boolean).join(" · ");

export function Tiles({ found, clustering }: { found: Found; clustering: Clustering }) {
  const tiles = found.paper.tiles;
  const order = tiles.map((_, at) => at).sort((a, b) => (tiles[a]?.accuracy ?? 0) - (tiles[b]?.accuracy ?? 0));
  const [place, setPlace] = useState(0);
  const at = order[place] ?? 0;
  const tile = tiles[at];
  if (!tile) return null;
  return (
    <section class="sheet" aria-labelledby="tiles-title">
      <div class="row">
        <h2 id="tiles-title">Tile by tile, the lowest first</h2>
        <span class="tiny">
          {count(place + 1)} of {countOf(tiles.length, "tile")}
        </span>
      </div>
      <div class="tile-choice">
        <button type="button" class="btn" disabled={place === 0} onClick={() => setPlace(place - 1)}>
          Lower
        </button>
        <label class="choice">
          <span class="unseen">Tile</span>
          <select class="field" value={place} onChange={(event) => setPlace(Number(event.currentTarget.value))}>
            {order.map((one, number) => (
              <option key={one} value={number}>
                {tiles[one]?.accuracy.toFixed(2)} · {nameOf(tiles[one] as PublishedTile)}
              </option>
            ))}
          </select>
        </label>
        <button type="button" class="btn" disabled={place === tiles.length - 1} onClick={() => setPlace(place + 1)}>
          Higher
        </button>
      </div>
      <p>
        Accuracy <b class="strong">{tile.accuracy.toFixed(4)}</b> of {countOf(tile.n_cells, "answer")}; one cluster for
        everything: <b class="strong">{tile.constant.toFixed(4)}</b>.
      </p>
      <div class="tile-sides">
        <Overlay key={at} id={found.id} number={at} clustering={clustering} />
        {tile.confusion_matrix ? (
          <Matrix
            label={`Answers of tile ${nameOf(tile)} by class (rows) and by the class that the cell's cluster is aligned to (columns)`}
            confusion={tile.confusion_matrix}
            beside="?"
          />
        ) : (
          <p class="muted">The tile's matrix is not told: all tiles together have too many classes.</p>
        )}
      </div>
    </section>
  );
}

function Overlay({ id, number, clustering }: { id: string; number: number; clustering: Clustering }) {
  const [shown, setShown] = useState<Shown | "unknown" | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => {
    let isCurrent = true;
    open(id, number, clustering).then(
      (found) => isCurrent && setShown(found ?? "unknown"),
      (error: unknown) => isCurrent && setProblem(asProblem(error)),
    );
    return () => {
      isCurrent = false;
    };
  }, [id, number, clustering]);
  if (problem) return <p role="alert">{titleOf(problem)}. The tile's picture cannot be shown.</p>;
  if (shown === "unknown")
    return <p class="muted">Which cells this tile has is not told: rows are not known, or there are very many.</p>;
  if (!shown) return <p class="muted">The tile's cells are on their way.</p>;
  return <Picture {...shown} />;
}

function Picture({ slide, cells, box }: Shown) {
  const [selected, setSelected] = useState<Cell | null>(null);
  const drawing = useRef<SVGSVGElement>(null);
  const [left, top, right, bottom] = box;
  const wrong = cells.filter((cell) => cell.human !== cell.aligned);
  useEffect(() => {
    const point = (event: PointerEvent) => {
      const row = event.target instanceof Element ? event.target.getAttribute("data-row") : null;
      if (row !== null) setSelected(cells.find((cell) => cell.row === Number(row)) ?? null);
    };
    drawing.current?.addEventListener("pointerover", point);
    return () => drawing.current?.removeEventListener("pointerover", point);
  }, [cells]);
  const next = () => setSelected(wrong[((selected ? wrong.indexOf(selected) : -1) + 1) % wrong.length] ?? null);
  return (
    <figure class="overlay">
      <svg
        ref={drawing}
        viewBox={`${left} ${top} ${right - left} ${bottom - top}`}
        role="img"
        aria-label={`${cells.length - wrong.length} of ${cells.length} cells are right; the table beside it counts them`}
      >
        <Background slide={slide} box={box} />
        {cells.map((cell) => (
          <path
            key={`${cell.row} ${cell.human}`}
            data-row={cell.row}
            class={`cell-outline ${cell.human === cell.aligned ? "right" : "wrong"} ${cell === selected ? "chosen" : ""}`}
            d={pathOf(cell.outline)}
          />
        ))}
      </svg>
      <figcaption class="row">
        <span class="tiny" aria-live="polite">
          {selected
            ? `Cell ${count(selected.row)}: human ${selected.human}, aligned ${selected.aligned ?? "to nothing (?)"}`
            : "Green: human and aligned agree. Red, broken line: they do not. Point at a cell for both names."}
        </span>
        {wrong.length > 0 && (
          <button type="button" class="link tiny" onClick={next}>
            Next wrong cell
          </button>
        )}
      </figcaption>
    </figure>
  );
}

const WIDEST_PX = 1024;

/** The slide's own tiles below a box, as fine as the picture needs. */
function Background({ slide, box }: { slide: Slide; box: Box }) {
  const size = Math.max(box[2] - box[0], box[3] - box[1]);
  const zoom = Math.min(coarsestZoom(slide), Math.max(0, Math.ceil(Math.log2(size / WIDEST_PX))));
  const down = 2 ** zoom;
  const step = TILE_PX * down;
  const length = (start: number, whole: number) => Math.ceil(Math.min(step, whole - start) / down) * down;
  return (
    <>
      {tilesIn(box, zoom, slide).map(({ column, row }) => (
        <image
          key={`${column} ${row}`}
          href={api.tile(slide.id, zoom, column, row)}
          x={column * step}
          y={row * step}
          width={length(column * step, slide.width_px)}
          height={length(row * step, slide.height_px)}
          preserveAspectRatio="none"
        />
      ))}
    </>
  );
}

export function pathOf(outline: ArrayLike<number>): string {
  let path = "";
  for (let at = 0; at + 1 < outline.length; at += 2) path += `${at ? "L" : "M"}${outline[at]} ${outline[at + 1]}`;
  return `${path}Z`;
}

/** The evaluation's own data are read once, with the first tile that is looked at. */
const data = new Map<string, Promise<Published>>();

function publishedOf(id: string): Promise<Published> {
  const known = data.get(id);
  if (known) return known;
  const asked = api.evaluationData<{ paper: Published }>(id).then((one) => one.paper);
  data.clear();
  data.set(id, asked);
  asked.catch(() => data.delete(id));
  return asked;
}

/** Null where it is not known which cells the tile has. What several annotators say of a cell alike is drawn once. */
async function open(id: string, number: number, clustering: Clustering): Promise<Shown | null> {
  const paper = await publishedOf(id);
  const told = paper.tiles[number]?.cells;
  const first = told?.row[0];
  const part = clustering.slides.find((one) => first !== undefined && first >= one.row_start && first < one.row_stop);
  if (!told || !part) return null;
  const [slide, { blocks }] = await Promise.all([api.slide(part.slide_id), api.blocks(clustering.id, part.slide_id)]);
  const wanted = blocks.filter((one) => told.row.some((row) => row >= one.row_start && row < one.row_stop));
  const abort = new AbortController();
  const read = await Promise.all(
    wanted.map(async (one) => readBlock(one, await api.block(clustering.id, slide.id, one.number, null, abort.signal))),
  );
  const drawn = new Set<string>();
  const cells = told.row.flatMap((row, at): Cell[] => {
    const outline = read.map((one) => outlineOf(one, row)).find((one) => one !== null);
    const [human, aligned] = [told.human[at] ?? -1, told.aligned[at] ?? -1];
    const name = `${row} ${human}`;
    if (!outline || drawn.has(name)) return [];
    drawn.add(name);
    return [
      { row, outline, human: paper.confusion.labels[human] ?? "", aligned: paper.confusion.labels[aligned] ?? null },
    ];
  });
  return cells.length > 0 ? { slide, cells, box: around(cells, slide) } : null;
}

const MARGIN_PX = 24;

function around(cells: readonly Cell[], slide: Slide): Box {
  const box: Box = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0, 0];
  for (const { outline } of cells) {
    for (let at = 0; at + 1 < outline.length; at += 2) {
      const [x, y] = [outline[at] ?? 0, outline[at + 1] ?? 0];
      [box[0], box[1], box[2], box[3]] = [
        Math.min(box[0], x),
        Math.min(box[1], y),
        Math.max(box[2], x),
        Math.max(box[3], y),
      ];
    }
  }
  return [
    Math.max(0, box[0] - MARGIN_PX),
    Math.max(0, box[1] - MARGIN_PX),
    Math.min(slide.width_px, box[2] + MARGIN_PX),
    Math.min(slide.height_px, box[3] + MARGIN_PX),
  ];
}
