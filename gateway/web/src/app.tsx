import { BoardRoom } from "./board/board";
import { HomeRoom } from "./jobs/home";
import { route } from "./route";

export function App() {
  const here = route.value;
  if (here.room === "board") return <BoardRoom id={here.labelling} key={here.labelling} />;
  return <HomeRoom />;
}
