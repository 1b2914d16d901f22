// The question before the rest is grouped anew: what stays, and into how many clusters.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { keptSentence } from "./words";

const COUNTS = [2, 3, 4, 5, 6, 8, 10, 15, 20, 30];

interface RegroupProps {
  locked_ids: readonly number[];
  act: (cluster_count: number) => void;
  done: () => void;
}

export function Regroup({ locked_ids, act, done }: RegroupProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [cluster_count, setCount] = useState(0);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    dialog.current?.close();
    act(cluster_count);
  };
  return (
    <dialog
      ref={dialog}
      class="ask"
      aria-labelledby="regroup-title"
      onClose={done}
      onKeyDown={(event) => event.stopPropagation()}
    >
      <form onSubmit={submit}>
        <h1 id="regroup-title">Group the rest anew?</h1>
        <ul>
          <li>{keptSentence(locked_ids)}</li>
          <li>
            {locked_ids.length > 0 ? "All other cells" : "All cells"}, those in no cluster among them, are clustered by
            themselves.
          </li>
          <li>What you said comes along to the new board, and this one stays.</li>
        </ul>
        <label class="into">
          Into{" "}
          <select value={cluster_count} onChange={(event) => setCount(Number(event.currentTarget.value))}>
            <option value={0}>as many clusters as stand apart</option>
            {COUNTS.map((count) => (
              <option key={count} value={count}>
                {count} clusters
              </option>
            ))}
          </select>
        </label>
        <footer>
          <button type="button" class="btn" onClick={() => dialog.current?.close()}>
            Leave it
          </button>
          <button type="submit" class="btn main">
            Group anew
          </button>
        </footer>
      </form>
    </dialog>
  );
}
