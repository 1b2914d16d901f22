// What happens elsewhere: server-sent events while the gateway sends them, polling where it cannot.
import { useEffect, useRef } from "preact/hooks";
import { address, api, asProblem, isAway } from "./api";
import { cut } from "./line";
import { tryNow } from "./outboxes";
import type { Job, Slide } from "./types";

export interface Heard {
  job?: (job: Job) => void;
  slide?: (slide: Slide) => void;
  labelling?: (changed: { id: string }) => void;
  sample?: (changed: { id: string }) => void;
  deleted?: (gone: Gone) => void;
  /** The stream came back after a break, or too much happened meanwhile: what was missed has to be read again. */
  reopened?: () => void;
}

export interface Gone {
  kind: "slide" | "job" | "labelling" | "sample";
  id: string;
}

const POLL_MS = 2000;
const KINDS = ["job", "slide", "labelling", "sample", "deleted"] as const;

export function useEvents(heard: Heard): void {
  const latest = useRef(heard);
  latest.current = heard;
  useEffect(
    () =>
      listen(
        (kind, data) => hand(latest.current, kind, data),
        () => latest.current.reopened?.(),
      ),
    [],
  );
}

type Kind = (typeof KINDS)[number];

function hand(heard: Heard, kind: Kind, data: unknown): void {
  if (kind === "job") heard.job?.(data as Job);
  else if (kind === "slide") heard.slide?.(data as Slide);
  else if (kind === "deleted") heard.deleted?.(data as Gone);
  else if (kind === "sample") heard.sample?.(data as { id: string });
  else heard.labelling?.(data as { id: string });
}

function listen(onEvent: (kind: Kind, data: unknown) => void, onReopen: () => void): () => void {
  let polling: ReturnType<typeof setInterval> | undefined;
  let reopening: ReturnType<typeof setTimeout> | undefined;
  let source = connect();
  function connect(): EventSource {
    const made = new EventSource(address("v1/events"));
    for (const kind of KINDS) {
      made.addEventListener(kind, (event) => onEvent(kind, JSON.parse((event as MessageEvent<string>).data)));
    }
    made.addEventListener("reset", onReopen);
    made.onopen = opened;
    made.onerror = broken;
    return made;
  }
  function opened(): void {
    cut.value = null;
    if (polling === undefined) return;
    clearInterval(polling);
    polling = undefined;
    tryNow();
    onReopen();
  }
  function broken(): void {
    polling ??= setInterval(() => void poll(onEvent), POLL_MS);
    // A browser takes up a broken stream by itself, but gives up where somebody in between answers with an error.
    if (source.readyState !== EventSource.CLOSED) return;
    reopening = setTimeout(() => {
      source = connect();
    }, POLL_MS);
  }
  /** A browser without a network keeps a stream that is open already, and nothing comes through it. */
  function offline(): void {
    polling ??= setInterval(() => void poll(onEvent), POLL_MS);
    void poll(onEvent);
  }
  function online(): void {
    if (source.readyState === EventSource.OPEN) opened();
  }
  globalThis.addEventListener("offline", offline);
  globalThis.addEventListener("online", online);
  return () => {
    globalThis.removeEventListener("offline", offline);
    globalThis.removeEventListener("online", online);
    clearInterval(polling);
    clearTimeout(reopening);
    source.close();
  };
}

async function poll(onEvent: (kind: Kind, data: unknown) => void): Promise<void> {
  try {
    for (const job of await api.jobs()) onEvent("job", job);
    cut.value = null;
  } catch (error) {
    const problem = asProblem(error);
    cut.value = isAway(problem) ? problem : null;
  }
}
