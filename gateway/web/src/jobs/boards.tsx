// A slide's boards: the one to go on with, and the others behind it.
import { countOf, duration, when } from "../format";
import { go, writeRoute } from "../route";
import type { BoardOf, Job, Slide } from "../types";
import { Menu } from "../ui/menu";

export function boardName(board: BoardOf): string {
  const of = board.slide_count > 1 ? `cohort of ${board.slide_count} slides` : (board.segmenter ?? "cells");
  const progress =
    board.page_count > 0 ? countOf(board.page_count, "page") : board.word_count > 0 ? "some answers" : "empty";
  return `${of} · ${progress} · ${when(board.created_at)}`;
}

export function Boards({ slide }: { slide: Slide }) {
  const [first, ...others] = slide.labellings;
  if (!first) return null;
  return (
    <>
      {others.length > 0 && (
        <Menu
          class="btn"
          label={`${countOf(slide.labellings.length, "board")} of ${slide.name}`}
          title="Boards of other runs and cohorts"
          items={slide.labellings.map((board) => ({
            name: boardName(board),
            chosen: board === first,
            act: () => go({ screen: "board", labelling: board.id }),
          }))}
        >
          {countOf(slide.labellings.length, "board")}
        </Menu>
      )}
      <a class="btn" href={writeRoute({ screen: "slide", labelling: first.id, slide: slide.id, at: null })}>
        On the slide
      </a>
      <a class="btn main" href={writeRoute({ screen: "board", labelling: first.id })}>
        Open the board
      </a>
    </>
  );
}

/** What there is: on the board that opens, and of the newest run where that board is another one's. */
export function doneSentence(slide: Slide, job: Job): string {
  const board = slide.labellings[0];
  const run = runSoFar(job);
  if (!board || board.job_id === job.id) return [saidSoFar(slide), ...run].filter(Boolean).join(" · ");
  const onBoard = [saidSoFar(slide), countOf(board.cell_count, "cell")].filter(Boolean).join(" · ");
  return `${onBoard} on its board. Newest run: ${run.join(" · ")}`;
}

function runSoFar(job: Job): string[] {
  const seconds =
    job.started_at && job.finished_at ? (Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000 : null;
  const failed = job.failed_tile_count ?? 0;
  const truncated = job.truncated_cell_count ?? 0;
  const without = job.unembedded_cell_count ?? 0;
  const words = [
    countOf(job.cell_count ?? 0, "cell"),
    truncated > 0 ? `${truncated} of them cut off` : "",
    without > 0 ? `${without} of them without a vector` : "",
    job.kept_tile_count === null ? "" : `${countOf(job.kept_tile_count, "tile")} of tissue`,
    failed > 0 ? `${countOf(failed, "tile")} could not be read` : "",
    seconds === null ? "" : duration(seconds),
  ];
  return words.filter(Boolean);
}

/** What was said so far, in the board that opens. */
function saidSoFar(slide: Slide): string {
  const first = slide.labellings[0];
  if (!first || first.word_count === 0) return "";
  return first.page_count > 0
    ? `${countOf(first.page_count, "page")} named`
    : `${countOf(first.word_count, "answer")} given`;
}
