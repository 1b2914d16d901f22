import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { BoardScreen } from "./board/board";
import { HomeScreen } from "./jobs/home";
import { type At, route } from "./route";

export function App() {
  const here = route.value;
  if (here.screen === "board") return <BoardScreen id={here.labelling} key={here.labelling} />;
  if (here.screen === "slide") return <LazySlide key={here.labelling} {...here} />;
  if (here.screen === "look") return <LazySlide key={here.slide} labelling={null} slide={here.slide} at={null} />;
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
