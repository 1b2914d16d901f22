// A slide's boards: the one to go on with, and the others behind it.
import { countOf, when } from "../format";
import { go, writeRoute } from "../route";
import type { BoardOf, Slide } from "../types";
import { Menu } from "../ui/menu";

export function boardName(board: BoardOf): string {
  const of = board.slide_count > 1 ? `cohort of ${board.slide_count} slides` : (board.segmenter ?? "cells");
  const said = board.page_count > 0 ? countOf(board.page_count, "page") : board.word_count > 0 ? "some words" : "empty";
  return `${of} · ${said} · ${when(board.created_at)}`;
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
            act: () => go({ room: "board", labelling: board.id }),
          }))}
        >
          {countOf(slide.labellings.length, "board")}
        </Menu>
      )}
      <a class="btn" href={writeRoute({ room: "slide", labelling: first.id, slide: slide.id, at: null })}>
        On the slide
      </a>
      <a class="btn main" href={writeRoute({ room: "board", labelling: first.id })}>
        Open the board
      </a>
    </>
  );
}

/** What was said so far, in the board that opens. */
export function saidSoFar(slide: Slide): string {
  const first = slide.labellings[0];
  if (!first || first.word_count === 0) return "";
  return first.page_count > 0
    ? `${countOf(first.page_count, "page")} named`
    : `${countOf(first.word_count, "word")} said`;
}
