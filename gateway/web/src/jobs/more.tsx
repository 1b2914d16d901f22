// What else can be done with a slide: run it otherwise, or the way out for it, its last run, or one of its boards. That
// asks first, and says what goes.
import { useState } from "preact/hooks";
import { countOf } from "../format";
import { go } from "../route";
import type { Job, Slide } from "../types";
import { Ask, type Question } from "../ui/ask";
import { type Item, Menu } from "../ui/menu";
import { boardName } from "./boards";
import type { Home } from "./store";

interface MoreProps {
  slide: Slide;
  job: Job | null;
  home: Home;
  otherwise: () => void;
}

export function More({ slide, job, home, otherwise }: MoreProps) {
  const [question, setQuestion] = useState<Question | null>(null);
  const questions = [slideQuestion(slide, home), ...boardQuestions(slide, home)];
  if (job) questions.splice(1, 0, jobQuestion(slide, job, home));
  const goes: Item[] = questions.map((one) => ({ name: `${one.yes}…`, act: () => setQuestion(one) }));
  const clustering = job?.state === "succeeded" ? job.clustering_id : null;
  const measure: Item[] = clustering
    ? [{ name: "Measure against a truth…", act: () => go({ screen: "evaluations", clustering, truth: null }) }]
    : [];
  const sampling: Item[] =
    job?.state === "succeeded" && job.verdict === "cells"
      ? [{ name: "Sample tiles to label…", act: () => go({ screen: "samples", job: job.id }) }]
      : [];
  const items: Item[] = [{ name: "Find its cells otherwise…", act: otherwise }, ...sampling, ...measure, ...goes];
  return (
    <>
      <Menu class="icon" label={`More for ${slide.name}`} title="More…" items={items}>
        <svg width="18" height="18" viewBox="0 0 18 18" fill="currentColor" aria-hidden="true">
          <circle cx="3.5" cy="9" r="1.5" />
          <circle cx="9" cy="9" r="1.5" />
          <circle cx="14.5" cy="9" r="1.5" />
        </svg>
      </Menu>
      {question && <Ask question={question} done={() => setQuestion(null)} />}
    </>
  );
}

const FINAL = "This cannot be undone.";

function withPages(boards: Slide["labellings"]): string {
  const pages = boards.reduce((sum, board) => sum + board.page_count, 0);
  return pages > 0 ? ` with ${countOf(pages, "named page")}` : "";
}

function slideQuestion(slide: Slide, home: Home): Question {
  const own = slide.labellings.filter((board) => board.slide_count === 1);
  const boards =
    own.length > 0 ? `Its cells, and ${countOf(own.length, "board")}${withPages(own)}` : "Its cells, if any";
  return {
    title: `Delete ${slide.name}?`,
    goes: ["The slide's files, as Morula keeps them.", `${boards}.`, FINAL],
    yes: "Delete the slide",
    act: () => void home.remove("slide", slide.id, slide),
  };
}

function jobQuestion(slide: Slide, job: Job, home: Home): Question {
  const own = slide.labellings.filter((board) => board.job_id === job.id);
  const boards = own.length > 0 ? `, and ${countOf(own.length, "board")}${withPages(own)}` : "";
  return {
    title: `Delete the last run over ${slide.name}?`,
    goes: [`The cells that it found, their tables${boards}.`, "The slide stays.", FINAL],
    yes: "Delete its last run",
    act: () => void home.remove("job", job.id, slide),
  };
}

function boardQuestions(slide: Slide, home: Home): Question[] {
  return slide.labellings
    .filter((board) => board.word_count > 0)
    .map((board) => ({
      title: `Delete what was said about ${slide.name}?`,
      goes: [`The board ${boardName(board)}.`, "The cells and other boards stay.", FINAL],
      yes: `Delete the board ${boardName(board)}`,
      act: () => void home.remove("labelling", board.id, slide),
    }));
}
