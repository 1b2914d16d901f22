import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { BoardScreen } from "./board/board";
import { CompareScreen } from "./evaluation/compare";
import { EvaluationsScreen } from "./evaluation/list";
import { EvaluationScreen } from "./evaluation/screen";
import { HomeScreen } from "./jobs/home";
import { type At, route } from "./route";
import { locked } from "./session";
import { SamplesScreen } from "./tiles/samples";
import { TilesScreen } from "./tiles/screen";
import { KeyForm } from "./ui/key_form";

export function App() {
  const here = route.value;
  if (locked.value) return <KeyForm />;
  if (here.screen === "board") return <BoardScreen id={here.labelling} key={here.labelling} />;
  if (here.screen === "slide") return <LazySlide key={here.labelling} {...here} />;
  if (here.screen === "look") return <LazySlide key={here.slide} labelling={null} slide={here.slide} at={null} />;
  if (here.screen === "evaluation") return <EvaluationScreen id={here.id} key={here.id} />;
  if (here.screen === "compare") return <CompareScreen ids={here.ids} key={here.ids.join()} />;
  if (here.screen === "evaluations") return <EvaluationsScreen {...here} key={`${here.clustering} ${here.truth}`} />;
  if (here.screen === "samples") return <SamplesScreen job={here.job} key={here.job} />;
  if (here.screen === "tiles") return <TilesScreen id={here.sample} key={here.sample} />;
  return <HomeScreen />;
}

interface SlideProps {
  labelling: string | null;
  slide: string | null;
  at: At | null;
}

/** deck.gl is most of the page's weight and comes only with the first slide. */
function LazySlide({ labelling, slide, at }: SlideProps) {
  const [Screen, setScreen] = useState<ComponentType<SlideProps> | null>(null);
  useEffect(() => {
    void import("./slide/screen").then((module) => setScreen(() => module.SlideScreen));
  }, []);
  return Screen && <Screen labelling={labelling} slide={slide} at={at} />;
}
