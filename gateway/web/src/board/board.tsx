// The board: pages of similar cells, one after the other, by keyboard.
import { useEffect, useMemo, useState } from "preact/hooks";
import { api } from "../api";
import { useEvents } from "../events";
import { useKeys } from "../keys";
import { go } from "../route";
import { Failed, Keys, State } from "../ui/parts";
import { Disclaimer, homeTab, type KeyHelp, labellingTabs, Shell } from "../ui/shell";
import { ClusterCards } from "./clusters";
import { classForKey, give, release, touch } from "./decide";
import { Focus } from "./focus";
import { BoardPanel } from "./panel";
import { Board } from "./store";
import "./board.css";

const HELP: KeyHelp[] = [
  { keys: ["Enter"], does: "accept the page as it is shown" },
  { keys: ["1", "…", "9"], does: "name all cells of the page, or the selected cell" },
  { keys: ["X"], does: "not a cell" },
  { keys: ["A", "…", "L"], does: "select a cell: odd, until a digit gives it a class" },
  { keys: ["N"], does: "not sure: the page is seen, nothing is said" },
  { keys: ["Esc"], does: "let the selected cell go" },
  { keys: ["Space"], does: "bring the surroundings back" },
  { keys: ["V"], does: "see the page's cells on the slide" },
  { keys: ["←", "→"], does: "earlier and later pages" },
  { keys: ["U", "Ctrl+Z"], does: "undo the last thing said" },
];

export function BoardRoom({ id }: { id: string }) {
  const board = useMemo(() => new Board(id), [id]);
  useEffect(() => {
    void board.load();
  }, [board]);
  useEvents({ labelling: (said) => said.id === id && void board.hear() });

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
    >
      <Content board={board} />
    </Shell>
  );
}

function Actions({ id, busy }: { id: string; busy: boolean }) {
  return (
    <>
      <span aria-live="polite">{busy ? "Saving…" : "Saved"}</span>
      <a class="btn" href={api.exportAddress(id)} download title="Cells with their labels, for QuPath (GeoJSON)">
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
      cut={(cluster_count) => void board.cut(cluster_count)}
      addClass={(name) => void board.changeClasses((set_id) => api.addClass(set_id, name))}
      renameClass={(number, name) => void board.changeClasses((set_id) => api.renameClass(set_id, number, name))}
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
  const sentence = board.notice.value ?? labelling?.last_event?.sentence;
  return (
    <span role="status">
      {sentence}
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
  const [labelling, clustering, turn] = [board.labelling.value, board.clustering.value, board.turn.value];
  const answer = (class_number: number | null) => {
    const choice = board.turn.value?.choice;
    if (choice && choice.selected !== null) board.decide(give(choice, class_number));
    else if (class_number === null) void board.defer();
    else void board.name(class_number);
  };
  const view = () => viewOnSlide(board);
  useKeys((key) => pressed(key, board, { answer, view, toggleContext: () => setContext(!context) }));

  if (board.problem.value) return <Failed problem={board.problem.value} again={() => void board.load()} />;
  if (!labelling || !clustering) return <State title="Opening the board">The cells are being laid out.</State>;
  return (
    <>
      {turn ? (
        <Focus
          page={turn.page}
          choice={turn.choice}
          labelling={labelling}
          slide={board.slides.value.get(turn.page.where.slide_id)}
          context={context}
          isPast={turn.seq !== null}
          busy={board.busy.value}
          decide={(choice) => board.decide(choice)}
          accept={() => void board.accept()}
          answer={answer}
          release={() => board.decide(release(turn.choice))}
          view={view}
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
          clusters={board.clusters.value.clusters}
          clustering={clustering}
          names={labelling.cluster_names}
          classes={labelling.label_set.classes}
          current={turn?.page.place.node_id ?? null}
          open={(node_id) => void board.openCluster(node_id)}
          name={(node_id, class_number) => void board.nameCluster(node_id, class_number)}
        />
      )}
    </>
  );
}

interface Acts {
  answer: (class_number: number | null) => void;
  view: () => void;
  toggleContext: () => void;
}

/** True where the key meant something here. */
function pressed(key: string, board: Board, acts: Acts): boolean {
  const turn = board.turn.value;
  if (key === "u" || key === "Ctrl+z") void board.undo();
  else if (key === "ArrowLeft") board.move(-1);
  else if (key === "ArrowRight") board.move(1);
  else if (!turn) return false;
  else if (key === "Enter") void board.accept();
  else if (key === " ") acts.toggleContext();
  else if (key === "n") acts.answer(null);
  else if (key === "v") acts.view();
  else if (key === "Escape" && turn.choice.selected !== null) board.decide(release(turn.choice));
  else if (key.startsWith("Shift+")) return namesAll(key.slice(6), board);
  else return letterOrClass(key, board, acts);
  return true;
}

/** Shift and a digit name the page even while a cell is selected. */
function namesAll(key: string, board: Board): boolean {
  const klass = classForKey(key, board.classes.value);
  if (klass) void board.name(klass.number);
  return klass !== undefined;
}

function letterOrClass(key: string, board: Board, acts: Acts): boolean {
  const turn = board.turn.value;
  const cell = turn?.page.cells.find((one) => one.letter.toLowerCase() === key);
  const klass = classForKey(key, board.classes.value);
  if (turn && cell) board.decide(touch(turn.choice, cell.row));
  else if (klass) acts.answer(klass.number);
  return Boolean(cell ?? klass);
}

function viewOnSlide(board: Board): void {
  const turn = board.turn.value;
  const cell = turn?.page.cells.find((one) => one.row === turn.choice.selected) ?? turn?.page.cells[0];
  if (!cell) return;
  const at = { x_px: cell.x_px, y_px: cell.y_px, row: cell.row };
  go({ room: "slide", labelling: board.id, slide: cell.slide_id, at });
}
