// A slide's cells found again: as its last run was asked, but for what is changed in the form.
import { useState } from "preact/hooks";
import type { Job, Slide } from "../types";
import { requestOf } from "./choices";
import { type Asking, JobForm } from "./form";
import type { Home } from "./store";

interface OtherwiseProps {
  slide: Slide;
  job: Job | null;
  home: Home;
  done: () => void;
}

export function Otherwise({ slide, job, home, done }: OtherwiseProps) {
  // As it was when the form opened: a run that begins meanwhile changes nothing in it.
  const [first] = useState(() => (job ? requestOf(job, slide) : home.chosen.value));
  const asking: Asking = {
    title: `Find the cells of ${slide.name}`,
    says: "What you said about its cells comes along where they are the same; earlier runs and their boards stay.",
    yes: "Find its cells",
    first,
    act: (chosen) => home.ask(slide, chosen),
  };
  return <JobForm asking={asking} models={home.models.value} done={done} />;
}
