// A question before something goes for good: what goes is said, and the harmless answer has the focus.
import { useLayoutEffect, useRef } from "preact/hooks";

export interface Question {
  title: string;
  /** What goes, one sentence each. */
  goes: readonly string[];
  yes: string;
  act: () => void;
}

export function Ask({ question, done }: { question: Question; done: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="ask" aria-labelledby="ask-title" onClose={done}>
      <h1 id="ask-title">{question.title}</h1>
      <ul>
        {question.goes.map((one) => (
          <li key={one}>{one}</li>
        ))}
      </ul>
      <footer>
        <button type="button" class="btn" onClick={() => dialog.current?.close()}>
          Keep it
        </button>
        <button
          type="button"
          class="btn danger"
          onClick={() => {
            dialog.current?.close();
            question.act();
          }}
        >
          {question.yes}
        </button>
      </footer>
    </dialog>
  );
}
