import { Home } from "./jobs/home";
import { route } from "./route";

export function App() {
  const here = route.value;
  switch (here.room) {
    default:
      return <Home />;
  }
}
