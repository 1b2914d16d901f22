import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { BoardRoom } from "./board/board";
import { HomeRoom } from "./jobs/home";
import { type At, route } from "./route";

export function App() {
  const here = route.value;
  if (here.room === "board") return <BoardRoom id={here.labelling} key={here.labelling} />;
  if (here.room === "slide") return <LazySlide key={here.labelling} {...here} />;
  if (here.room === "look") return <LazySlide key={here.slide} labelling={null} slide={here.slide} at={null} />;
  return <HomeRoom />;
}

interface SlideProps {
  labelling: string | null;
  slide: string | null;
  at: At | null;
}

/** deck.gl is most of the page's weight and comes only with the first slide. */
function LazySlide({ labelling, slide, at }: SlideProps) {
  const [Room, setRoom] = useState<ComponentType<SlideProps> | null>(null);
  useEffect(() => {
    void import("./slide/room").then((module) => setRoom(() => module.SlideRoom));
  }, []);
  return Room && <Room labelling={labelling} slide={slide} at={at} />;
}
