// The page in focus: one decision at a time.

import { count, countOf } from "../format";
import type { CellPicture, Cluster, Labelling, NearPicture, Page, Slide } from "../types";
import { Cells, crop } from "./cells";
import { type Choice, canAccept, shortSummary, summary, touch } from "./decide";
import { Facts, Where } from "./facts";
import type { Turn } from "./turn";
import { NO_CLUSTER, nearWords } from "./words";

const REASONS: Record<Page["reason"], string> = {
  largest_cluster: "the largest not yet shown",
  least_sure: "the model is least sure here",
  requested: "you asked for this cluster",
};

/** Where the turn is: said and on its way, named, not taken, or why this page was chosen. */
function standing({ turn, labelling, ready, away }: FocusProps): string {
  if (turn.state === "unsent") return away ? "kept here until Morula answers" : "learning from what you said…";
  if (!ready) return "the next page is coming…";
  if (turn.state === "named") return "named before: name it again to change it";
  if (turn.state === "refused") return `not taken: ${saidByOthers(turn, labelling)}; name it again to overwrite that`;
  return REASONS[turn.page.reason];
}

function saidByOthers({ page, others }: Turn, labelling: Labelling): string {
  const cells = page.cells.filter((cell) => others?.has(cell.row));
  if (!others || cells.length === 0) return "nothing stands there now";
  return `${summary({ ...page, cells }, { marks: others, selected: null }, labelling.label_set.classes)} stands there now`;
}

interface FocusProps {
  turn: Turn;
  section: { current: HTMLElement | null };
  labelling: Labelling;
  slide: Slide | undefined;
  /** The whole cluster of which the page shows cells, once it is known. */
  whole: Cluster | undefined;
  context: boolean;
  /** The page can be named. */
  ready: boolean;
  busy: boolean;
  away: boolean;
  decide: (choice: Choice) => void;
  accept: () => void;
  /** A class or "not sure", of the selected cell, else of the page. */
  answer: (class_number: number | null) => void;
  release: () => void;
  view: () => void;
  viewCell: (cell: CellPicture) => void;
  split: () => void;
  setContext: (on: boolean) => void;
}

/** A page is of one leaf, and a cluster may have several: its cells are then a part of it. */
function isPart(page: Page, whole: Cluster): boolean {
  return page.place.cell_count < whole.cell_count;
}

/** The first pages come from above the cut: of clusters that are shown one by one, several at once. */
function isOfSeveral(page: Page): boolean {
  return page.cluster_count > 1;
}

function clusterOf(page: Page, whole: Cluster | undefined): string {
  if (page.place.node_id === NO_CLUSTER) return "no cluster";
  if (isOfSeveral(page)) return countOf(page.cluster_count, "cluster");
  const name = `cluster ${page.place.node_id}`;
  return whole && isPart(page, whole) ? `one part of ${name}` : name;
}

export function Focus(props: FocusProps) {
  const { labelling, turn } = props;
  const { page, choice } = turn;
  const cluster = clusterOf(page, props.whole);
  const heading = `Page ${page.number}`;
  return (
    // The pointer takes no focus here: Enter must stay the page's key after a click on a cell.
    <section
      class="focus"
      ref={props.section}
      aria-labelledby="page-title"
      aria-busy={props.busy}
      onMouseDown={(event) => event.preventDefault()}
    >
      <header>
        <h1 id="page-title">{heading}</h1>
        <span class="muted">
          {page.cells.length} of {count(page.place.cell_count)} cells in {cluster}
          {props.whole && isPart(page, props.whole) && ` (${countOf(props.whole.cell_count, "cell")})`} ·{" "}
          {standing(props)}
        </span>
        <span class="muted push scale">
          {page.window_um} µm wide{" "}
          <button type="button" aria-pressed={props.context} onClick={() => props.setContext(!props.context)}>
            <kbd>Space</kbd> context
          </button>
        </span>
      </header>
      <div class="seen">
        <p>{page.sentence.replaceAll(" %", "\u00a0%")}</p>
        <Cells
          page={page}
          choice={choice}
          classes={labelling.label_set.classes}
          context={props.context}
          near={(cell) => nearWords(cell.near_node_id, labelling.cluster_names, labelling.label_set.classes)}
          touch={(row) => props.decide(touch(choice, row))}
        />
      </div>
      <div class="about">
        <h2>
          Where {cluster === "no cluster" ? "they" : cluster}{" "}
          {isOfSeveral(page) || cluster === "no cluster" ? "lie" : "lies"}
        </h2>
        <Where page={page} slide={props.slide} name={cluster} />
        <Facts facts={page.facts} />
        {props.whole && <Around cluster={props.whole} labelling={labelling} view={props.viewCell} />}
      </div>
      <Answers {...props} />
      <p class="unseen" role="status">
        {heading}: {page.cells.length} cells of {cluster}. {summary(page, choice, labelling.label_set.classes)}
      </p>
    </section>
  );
}

interface AroundProps {
  cluster: Cluster;
  labelling: Labelling;
  view: (cell: CellPicture) => void;
}

/** What the cluster holds beside what is typical of it: a click shows the cell on the slide. */
function Around({ cluster, labelling, view }: AroundProps) {
  const words = (cell: NearPicture) =>
    nearWords(cell.near_node_id, labelling.cluster_names, labelling.label_set.classes);
  const borderline = cluster.borderline.map((cell) => ({ cell, title: `At the border, ${words(cell)}` }));
  const outlying = cluster.outlying.map((cell) => ({ cell, title: "Far from what is common in the cluster" }));
  return (
    <>
      {[
        { name: "At its border", cells: borderline },
        { name: "Outlying", cells: outlying },
      ].map(
        ({ name, cells }) =>
          cells.length > 0 && (
            <section key={name} class="around-cluster" aria-label={name}>
              <h2>{name}</h2>
              <div class="six">
                {cells.map(({ cell, title }) => (
                  <button
                    key={cell.row}
                    type="button"
                    class="crop"
                    style={crop(cell)}
                    title={title}
                    aria-label={`${title}: show it on the slide`}
                    onClick={() => view(cell)}
                  />
                ))}
              </div>
            </section>
          ),
      )}
    </>
  );
}

/** While a cell is selected the classes are its own; the words before them say so, and nothing moves. */
function Answers({ turn, labelling, whole, ready, accept, answer, release, view, split }: FocusProps) {
  const { page, choice } = turn;
  const classes = labelling.label_set.classes;
  const selected = page.cells.find((cell) => cell.row === choice.selected);
  const acceptable = canAccept(page, choice);
  const others = acceptable ? "or all" : choice.marks.size > 0 ? "All others are" : "These are";
  return (
    <div class="answers">
      {acceptable && (
        <button
          type="button"
          class="pick go"
          disabled={!ready}
          onClick={accept}
          title={summary(page, choice, classes)}
          aria-keyshortcuts="Enter"
        >
          <kbd>Enter</kbd>
          {shortSummary(page, choice, classes)}
        </button>
      )}
      <span class="muted whom" role="status">
        {selected ? `${acceptable ? "cell" : "Cell"} ${selected.letter} is` : others}
      </span>
      {classes.map((klass) => (
        <button
          key={klass.number}
          type="button"
          class="pick"
          disabled={!ready}
          onClick={() => answer(klass.number)}
          aria-label={`${klass.key ?? ""} ${klass.name}, for ${selected ? `cell ${selected.letter}` : "all cells"}`}
        >
          {klass.key && <kbd>{klass.key}</kbd>}
          {klass.name}
        </button>
      ))}
      <span class="push asides">
        <button type="button" onClick={() => answer(null)} disabled={!ready} aria-keyshortcuts="N">
          <kbd>N</kbd> not sure
        </button>
        {whole && !selected && (
          <button type="button" onClick={split} aria-keyshortcuts="S" title={`Split cluster ${whole.node_id} into two`}>
            <kbd>S</kbd> split
          </button>
        )}
        {selected ? (
          <button type="button" onClick={release} aria-keyshortcuts="Escape">
            <kbd>Esc</kbd> let go
          </button>
        ) : (
          <button type="button" onClick={view} aria-keyshortcuts="V">
            <kbd>V</kbd> on slide
          </button>
        )}
      </span>
    </div>
  );
}
