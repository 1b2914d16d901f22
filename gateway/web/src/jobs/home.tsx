// Home: slides and their jobs. A slide is dropped, its cells are found, the board opens.
import { useEffect, useRef, useState } from "preact/hooks";
import { titleOf } from "../api";
import { useEvents } from "../events";
import { bytes, countOf, percent } from "../format";
import { useKeys } from "../keys";
import { newlySent } from "../outboxes";
import { Failed, Keys, State } from "../ui/parts";
import { Disclaimer, evaluationTab, homeTab, type KeyHelp, Shell, samplesTab } from "../ui/shell";
import { SlideRow } from "./row";
import { filesOf } from "./sets";
import { Home, type Upload } from "./store";
import { Way } from "./way";
import "./jobs.css";

const HELP: KeyHelp[] = [
  { keys: ["N"], does: "choose a new slide" },
  { keys: ["Tab"], does: "go through slides and their buttons" },
  { keys: ["Enter"], does: "open what is focused" },
];

/** It outlives the screen: what is being sent goes on while a board is open. */
const home = new Home();

export function HomeScreen() {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const choose = () => input.current?.click();
  useEffect(() => {
    void home.load();
  }, []);
  useEffect(
    () =>
      newlySent(() => {
        void home.load();
      }),
    [],
  );
  useEvents({
    job: (job) => home.hearJob(job),
    slide: (slide) => home.hearSlide(slide),
    deleted: (gone) => home.hearDeleted(gone),
    reopened: () => void home.load(),
  });
  useKeys((key) => {
    if (key === "n") choose();
    return key === "n";
  });
  useDrop((transfer) => void home.add(filesOf(transfer)), setOver);

  return (
    <Shell
      tabs={[homeTab(true), samplesTab(false), evaluationTab(false)]}
      panel={<Add over={over} choose={choose} home={home} />}
      keyline={<Keys names={["N"]}>new slide</Keys>}
      last={home.slides.value && countOf(home.slides.value.length, "slide")}
      help={HELP}
      note={home.note.value}
    >
      <input
        ref={input}
        type="file"
        multiple
        class="unseen"
        tabIndex={-1}
        aria-label="Slide file"
        onChange={(event) => {
          void home.add(
            Promise.resolve([...(event.currentTarget.files ?? [])].map((file) => ({ name: file.name, file }))),
          );
          event.currentTarget.value = "";
        }}
      />
      {home.uploads.value.map((one) => (
        <UploadRow key={one.id} upload={one} again={() => void home.again(one)} />
      ))}
      {home.rest.value.length > 0 && <Rest home={home} />}
      <Content home={home} choose={choose} />
    </Shell>
  );
}

function Add({ over, choose, home }: { over: boolean; choose: () => void; home: Home }) {
  return (
    <>
      <section>
        <h2>A new slide</h2>
        <button type="button" class={`drop ${over ? "over" : ""}`} onClick={choose}>
          <svg width="28" height="28" viewBox="0 0 28 28" fill="none" stroke="currentColor" aria-hidden="true">
            <path
              stroke-width="1.6"
              stroke-linecap="round"
              stroke-linejoin="round"
              d="M14 18V5m-5 5 5-5 5 5M5 18v5h18v-5"
            />
          </svg>
          <b>Drop slides here</b>
          <span class="tiny">or choose files</span>
        </button>
        <p class="tiny after">
          Whole-slide images that OpenSlide reads, and tiled TIFF. Several slides, or a folder of them: each becomes its
          own. Of a slide of several files (MRXS, VMS, DICOM, OME-TIFF) drop all, or its folder.
        </p>
      </section>
      <Way home={home} />
      <section>
        <h2>What happens</h2>
        <ol class="steps">
          <li>Tissue is found, cells are outlined and measured, similar ones come together.</li>
          <li>You name a few pages of cells; a model labels all others.</li>
          <li>You look at the slide, correct it, export it.</li>
        </ol>
      </section>
      <section class="last">
        <Disclaimer />
      </section>
    </>
  );
}

function Content({ home, choose }: { home: Home; choose: () => void }) {
  if (home.problem.value) return <Failed problem={home.problem.value} again={() => void home.load()} />;
  if (!home.slides.value) return <State title="Opening">The slides are being listed.</State>;
  if (home.rows.value.length === 0 && home.uploads.value.length === 0) {
    return (
      <State title="No slide yet" action={{ label: "Choose a slide", act: choose }}>
        Drop a whole-slide image anywhere on this page. It stays on this machine.
      </State>
    );
  }
  return (
    <ul class="slides" aria-label="Slides">
      {home.rows.value.map((row) => (
        <SlideRow key={row.slide.id} row={row} home={home} />
      ))}
    </ul>
  );
}

function UploadRow({ upload, again }: { upload: Upload; again: () => void }) {
  const { problem, share } = upload;
  const size = upload.files.reduce((sum, { file }) => sum + file.size, 0);
  return (
    <section class="slide-card uploading" role={problem ? "alert" : "status"} aria-label={`Upload of ${upload.name}`}>
      <div class="slide-head">
        <h1>{upload.name}</h1>
        {problem ? (
          <span class="chip wrong">not taken</span>
        ) : (
          <span class="chip calm">{share === null ? "waiting" : "uploading"}</span>
        )}
        <span class="tiny">
          {upload.files.length > 1 && `${countOf(upload.files.length, "file")} · `}
          {bytes(size)}
        </span>
        <span class="push" />
        {problem && (
          <button type="button" class="btn" onClick={again}>
            Try again
          </button>
        )}
        <button type="button" class="btn" onClick={upload.cancel}>
          {problem ? "Dismiss" : "Cancel"}
        </button>
      </div>
      {problem ? (
        <p>
          <b class="strong">{titleOf(problem)}.</b> <span class="muted">{problem.detail}</span>
        </p>
      ) : (
        <div class="meter-line">
          <progress class="meter" max={1} value={share ?? 0} aria-label={`Sent of ${upload.name}`} />
          <span class="muted">
            {share === null ? "the others come first" : share < 1 ? percent(share) : "looking at the file"}
          </span>
        </div>
      )}
    </section>
  );
}

const NAMED_AT_MOST = 5;

function Rest({ home }: { home: Home }) {
  const names = home.rest.value;
  const more = names.length - NAMED_AT_MOST;
  return (
    <section class="slide-card uploading" role="status" aria-label="Files that were not sent">
      <div class="slide-head">
        <p>
          <b class="strong">Not sent: {countOf(names.length, "file")} that no slide needs.</b>{" "}
          <span class="muted">
            {names.slice(0, NAMED_AT_MOST).join(", ")}
            {more > 0 && ` and ${more} more`}
          </span>
        </p>
        <span class="push" />
        <button
          type="button"
          class="btn"
          onClick={() => {
            home.rest.value = [];
          }}
        >
          Dismiss
        </button>
      </div>
    </section>
  );
}

/** The whole page takes a dropped slide. */
function useDrop(take: (transfer: DataTransfer) => void, setOver: (over: boolean) => void): void {
  useEffect(() => {
    const drag = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setOver(event.type === "dragover");
    };
    const drop = (event: DragEvent) => {
      event.preventDefault();
      setOver(false);
      if (event.dataTransfer) take(event.dataTransfer);
    };
    window.addEventListener("dragover", drag);
    window.addEventListener("dragleave", drag);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("dragover", drag);
      window.removeEventListener("dragleave", drag);
      window.removeEventListener("drop", drop);
    };
  }, []);
}
