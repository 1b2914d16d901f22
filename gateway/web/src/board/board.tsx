// The board: pages of similar cells, one after the other, by keyboard.
import { useEffect, useMemo, useState } from "preact/hooks";
import { api } from "../api";
import { useEvents } from "../events";
import { useKeys } from "../keys";
import { dismissRefusals } from "../outboxes";
import { go } from "../route";
import type { CellPicture, Cluster } from "../types";
import { Saved } from "../ui/notes";
import { Failed, Keys, State } from "../ui/parts";
import { Disclaimer, homeTab, type KeyHelp, labellingTabs, Shell } from "../ui/shell";
import { ClusterCards } from "./clusters";
import { type Choice, classForKey, give, release, touch } from "./decide";
import { Focus } from "./focus";
import { BoardPanel } from "./panel";
import { Regroup } from "./regroup";
import { type Sight, useSight } from "./shown";
import { Board } from "./store";
import "./board.css";

const HELP: KeyHelp[] = [
  { keys: ["Enter"], does: "accept the page as it is shown" },
  { keys: ["1", "…", "9"], does: "name all cells of the page, or the selected cell" },
  { keys: ["X"], does: "not a cell" },
  { keys: ["A", "…", "L"], does: "select a cell: odd, until a digit gives it a class" },
  { keys: ["N"], does: "not sure: the page is seen, nothing is said" },
  { keys: ["Esc"], does: "let the selected cell go, or what was not taken" },
  { keys: ["Space"], does: "bring the surroundings back" },
  { keys: ["V"], does: "see the page's cells on the slide" },
  { keys: ["S"], does: "split the page's cluster into two" },
  { keys: ["R"], does: "group anew all that has no name: asks first" },
  { keys: ["←", "→"], does: "earlier and later pages" },
  { keys: ["U", "Ctrl+Z"], does: "undo the last thing said" },
];

export function BoardScreen({ id }: { id: string }) {
  const board = useMemo(() => new Board(id), [id]);
  useEffect(() => {
    const leave = board.follow();
    void board.load();
    return leave;
  }, [board]);
  useEvents({
    labelling: (changed) => changed.id === id && void board.hear(),
    job: (job) => void board.changing.hear(job),
    deleted: (gone) => gone.id === id && board.gone(),
    reopened: () => void board.resume(),
  });

  const labelling = board.labelling.value;
  const name = board.clustering.value?.name;
  return (
    <Shell
      crumb={name && <b>{name}</b>}
      tabs={labelling ? labellingTabs(id, "board") : [homeTab(false)]}
      actions={labelling && <Actions id={id} busy={board.busy.value} />}
      panel={<Panel board={board} />}
      keyline={<KeyLine />}
      last={<Last board={board} />}
      help={HELP}
      note={board.notice.value}
    >
      <Content board={board} />
    </Shell>
  );
}

function Actions({ id, busy }: { id: string; busy: boolean }) {
  return (
    <>
      <span aria-live="polite">
        <Saved busy={busy} />
      </span>
      <a
        class="btn"
        href={api.exportAddress(id, "cells.geojson.gz")}
        download
        title="Cells with their labels, for QuPath (GeoJSON)"
      >
        Export
      </a>
    </>
  );
}

function Panel({ board }: { board: Board }) {
  const [labelling, clustering] = [board.labelling.value, board.clustering.value];
  if (!labelling || !clustering) return <Disclaimer />;
  return (
    <BoardPanel
      labelling={labelling}
      clustering={clustering}
      page={board.turn.value?.page ?? null}
      busy={board.busy.value}
      cut={(cluster_count) => board.cut(cluster_count)}
      addClass={(name) => board.changeClasses((set_id) => api.addClass(set_id, name))}
      renameClass={(number, name) => board.changeClasses((set_id) => api.renameClass(set_id, number, name))}
    />
  );
}

function KeyLine() {
  return (
    <>
      <Keys names={["←", "→"]}>pages</Keys>
      <Keys names={["A", "–", "L"]}>change one cell</Keys>
      <Keys names={["1", "–", "9"]}>name the page</Keys>
      <Keys names={["U"]}>undo</Keys>
    </>
  );
}

function Last({ board }: { board: Board }) {
  const labelling = board.labelling.value;
  return (
    <span role="status">
      {labelling?.last_event?.sentence}
      {labelling?.can_undo && (
        <>
          {" · "}
          <button type="button" onClick={() => void board.undo()} aria-keyshortcuts="U">
            undo with U
          </button>
        </>
      )}
    </span>
  );
}

function Content({ board }: { board: Board }) {
  const [context, setContext] = useState(false);
  const turn = board.turn.value;
  const sight = useSight(turn?.page);
  const acts = actsOf(board, sight, () => setContext(!context));
  useKeys((key) => pressed(key, board, acts));

  const [labelling, clustering] = [board.labelling.value, board.clustering.value];
  if (board.problem.value) {
    const home = { label: "To the slides", act: () => go({ screen: "home" }) };
    return <Failed problem={board.problem.value} again={() => void board.load()} instead={home} />;
  }
  if (!labelling || !clustering) return <State title="Opening the board">The cells are being laid out.</State>;
  return (
    <>
      {turn ? (
        <Focus
          turn={turn}
          section={sight.section}
          labelling={labelling}
          whole={wholeOf(board)}
          slide={board.slides.value.get(turn.page.where.slide_id)}
          context={context}
          ready={board.ready.value}
          busy={board.busy.value}
          away={board.outbox.away.value !== null}
          decide={(choice) => board.decide(choice)}
          accept={acts.accept}
          answer={acts.answer}
          release={() => board.decide(release(turn.choice))}
          view={acts.view}
          viewCell={(cell) => viewCell(board, cell)}
          split={acts.split}
          setContext={setContext}
        />
      ) : board.finished.value ? (
        <State title="Every cell was seen">
          Nothing is left to ask. Look at the result on the slide, or export it.
        </State>
      ) : (
        <section class="focus waiting" aria-busy="true" aria-label="The next page is being chosen" />
      )}
      {board.clusters.value && (
        <ClusterCards
          labelling={labelling.id}
          clusters={board.clusters.value.clusters}
          noise={board.clusters.value.noise}
          clustering={clustering}
          names={labelling.cluster_names}
          classes={labelling.label_set.classes}
          current={turn?.page.place.node_id ?? null}
          changing={board.changing.wish.value !== null}
          open={(of) => board.open(of)}
          split={(node_id) => board.changeClusters({ kind: "split", node_id })}
          regroup={acts.regroup}
          name={(node_id, class_number) => void board.nameCluster(node_id, class_number)}
        />
      )}
      {board.changing.isAsking.value && (
        <Regroup
          locked_ids={labelling.locked_node_ids}
          act={(cluster_count) => board.changeClusters({ kind: "regroup", cluster_count })}
          done={() => {
            board.changing.isAsking.value = false;
          }}
        />
      )}
    </>
  );
}

interface Acts {
  /** A class or "not sure", of the selected cell, else of the page. */
  answer: (class_number: number | null) => void;
  accept: () => void;
  nameAll: (class_number: number) => void;
  touch: (row: number) => void;
  view: () => void;
  split: () => void;
  /** Asks whether to. */
  regroup: () => void;
  toggleContext: () => void;
}

/** The cluster that the page is of, where it is one that is shown. */
function wholeOf(board: Board): Cluster | undefined {
  return board.clusters.value?.clusters.find((one) => one.node_id === board.turn.value?.page.place.node_id);
}

const TOO_EARLY = "One moment: the next page is not here yet, so that key named nothing";
const OUT_OF_SIGHT = "Not all cells of this page were in sight, so that key named nothing: here they are";

/** A key came before the page it could name: a notice says so, since nobody has seen that page. */
function tooEarly(board: Board): void {
  if (!board.outbox.away.value) board.notice.value = { text: TOO_EARLY };
}

/** What says something about cells is done only where they are on the screen; else a notice says so and nothing is said. */
function actsOf(board: Board, sight: Sight, toggleContext: () => void): Acts {
  const ifShown = (act: (choice: Choice) => void) => {
    const turn = board.turn.value;
    if (!turn || !board.ready.value) tooEarly(board);
    else if (!sight.isSeen()) board.notice.value = { text: OUT_OF_SIGHT };
    else act(turn.choice);
  };
  return {
    answer: (class_number) =>
      ifShown((choice) => {
        if (choice.selected !== null) board.decide(give(choice, class_number));
        else if (class_number === null) board.defer();
        else board.name(class_number);
      }),
    accept: () => ifShown(() => board.accept()),
    nameAll: (class_number) => ifShown(() => board.name(class_number)),
    touch: (row) => ifShown((choice) => board.decide(touch(choice, row))),
    view: () => viewOnSlide(board),
    split: () => {
      const whole = wholeOf(board);
      if (whole) board.changeClusters({ kind: "split", node_id: whole.node_id });
      else board.notice.value = { text: "This page is of no cluster alone: open one of them to split it" };
    },
    regroup: () => {
      board.changing.isAsking.value = board.changing.wish.value === null;
    },
    toggleContext,
  };
}

/** True where the key meant something here. */
function pressed(key: string, board: Board, acts: Acts): boolean {
  const turn = board.turn.value;
  if (key === "u" || key === "Ctrl+z") void board.undo();
  else if (key === "ArrowLeft") board.move(-1);
  else if (key === "ArrowRight") board.move(1);
  else if (key === "r") acts.regroup();
  else if (!turn) return false;
  else if (key === "Enter") acts.accept();
  else if (key === " ") acts.toggleContext();
  else if (key === "n") acts.answer(null);
  else if (key === "v") acts.view();
  else if (key === "s") acts.split();
  else if (key === "Escape" && turn.choice.selected !== null) board.decide(release(turn.choice));
  else if (key === "Escape") dismissRefusals();
  else return letterOrClass(key, board, acts);
  return true;
}

/** Shift and a digit name the page even while a cell is selected. */
function letterOrClass(key: string, board: Board, acts: Acts): boolean {
  const cell = board.turn.value?.page.cells.find((one) => one.letter.toLowerCase() === key);
  const klass = classForKey(key.replace("Shift+", ""), board.classes.value);
  if (cell) acts.touch(cell.row);
  else if (klass && key.startsWith("Shift+")) acts.nameAll(klass.number);
  else if (klass) acts.answer(klass.number);
  return Boolean(cell ?? klass);
}

function viewOnSlide(board: Board): void {
  const turn = board.turn.value;
  const cell = turn?.page.cells.find((one) => one.row === turn.choice.selected) ?? turn?.page.cells[0];
  if (cell) viewCell(board, cell);
}

function viewCell(board: Board, { x_px, y_px, row, slide_id }: CellPicture): void {
  go({ screen: "slide", labelling: board.id, slide: slide_id, at: { x_px, y_px, row } });
}
