import { State } from "../ui/parts";
import { Disclaimer, homeTab, Shell } from "../ui/shell";

export function Home() {
  return (
    <Shell tabs={[homeTab(true)]} panel={<Disclaimer />} keyline={null} help={[]}>
      <State title="No slide yet">Choose a whole-slide image.</State>
    </Shell>
  );
}
