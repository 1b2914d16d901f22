// Small and local: what was refused, what has to wait, and that the gateway is away. Nothing on the page moves for it.
import { titleOf } from "../api";
import { countOf } from "../format";
import { cut } from "../line";
import { dismissRefusals, refusals, tryNow, unsent } from "../outboxes";

export interface Note {
  text: string;
  action?: { label: string; act: () => void };
}

export function Notes({ note }: { note: Note | null | undefined }) {
  return (
    <div class="notes" role="status">
      <Away />
      <NotTaken />
      {note && <Line note={note} />}
    </div>
  );
}

function Line({ note, quiet = false }: { note: Note; quiet?: boolean }) {
  return (
    <p class={`note ${quiet ? "quiet" : ""}`}>
      <span>{note.text}</span>
      {note.action && (
        <button type="button" class="link" onClick={note.action.act}>
          {note.action.label}
        </button>
      )}
    </p>
  );
}

/** The gateway is away, and which words it does not have yet. */
function Away() {
  const { count, isKept } = unsent.value;
  const away = unsent.value.away ?? cut.value;
  if (!away) return null;
  const why = away.status === 0 ? "Morula does not answer" : titleOf(away);
  if (count === 0) return <Line quiet note={{ text: `${why}. The page goes on by itself when it does.` }} />;
  const where = isKept ? "kept here and sent" : "kept by this page, which has to stay open, and sent";
  const text = `${why}. ${countOf(count, "answer")} of yours ${count === 1 ? "is" : "are"} ${where} when it does.`;
  return <Line quiet note={{ text, action: { label: "Try now", act: tryNow } }} />;
}

/** Words that were refused, at once or after a connection came back: shown until somebody dismisses them. */
function NotTaken() {
  const all = refusals.value;
  if (all.length === 0) return null;
  const words = [...new Set(all.map(({ words }) => words))].join(", ");
  const why = all.every(({ problem }) => problem.status === 412)
    ? "Labelled elsewhere meanwhile: nothing was overwritten."
    : (all[0]?.problem.detail ?? all[0]?.problem.title);
  return <Line note={{ text: `Not taken: ${words}. ${why}`, action: { label: "Dismiss", act: dismissRefusals } }} />;
}

/** "Saved" is said when the gateway has said so. */
export function Saved({ busy }: { busy: boolean }) {
  const { away, count } = unsent.value;
  if (cut.value && count === 0) return <span class="chip wrong">not connected</span>;
  if (away) return <span class="chip wrong">{countOf(count, "answer")} not sent</span>;
  return <span>{busy || count > 0 ? "Saving…" : "Saved"}</span>;
}
