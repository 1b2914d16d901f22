// What all screens share: the bar above, the panel on the left, the line of keys below, the list of all keys.
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { api } from "../api";
import { helpOpen, setSingleKeys, singleKeys } from "../keys";
import { writeRoute } from "../route";
import { ownName } from "../session";
import { theme, toggleTheme } from "../theme";
import { type Note, Notes } from "./notes";
import { Mark } from "./parts";

export interface Tab {
  name: string;
  href: string;
  current: boolean;
}

export interface KeyHelp {
  keys: string[];
  does: string;
}

interface ShellProps {
  crumb?: ComponentChildren;
  tabs: Tab[];
  actions?: ComponentChildren;
  panel?: ComponentChildren;
  keyline: ComponentChildren;
  last?: ComponentChildren;
  help: KeyHelp[];
  /** What has just been refused or has to wait. */
  note?: Note | null;
  /** The screen fills the page and its panel floats above it. */
  floating?: boolean;
  children: ComponentChildren;
}

export function homeTab(current: boolean): Tab {
  return { name: "Slides", href: writeRoute({ screen: "home" }), current };
}

/** `current` is false on a page below it, which it leads back from. */
export function evaluationTabs(current: boolean): Tab[] {
  return [homeTab(false), samplesTab(false), evaluationTab(current)];
}

export function samplesTabs(current: boolean): Tab[] {
  return [homeTab(false), samplesTab(current), evaluationTab(false)];
}

export function samplesTab(current: boolean): Tab {
  return { name: "Tiles", href: writeRoute({ screen: "samples", job: null }), current };
}

export function evaluationTab(current: boolean): Tab {
  return { name: "Evaluation", href: writeRoute({ screen: "evaluations", clustering: null, truth: null }), current };
}

export function labellingTabs(labelling: string, screen: "board" | "slide"): Tab[] {
  const slide = writeRoute({ screen: "slide", labelling, slide: null, at: null });
  return [
    homeTab(false),
    { name: "Board", href: writeRoute({ screen: "board", labelling }), current: screen === "board" },
    { name: "Slide", href: slide, current: screen === "slide" },
    samplesTab(false),
    evaluationTab(false),
  ];
}

export function Shell(props: ShellProps) {
  return (
    <div class={`shell ${props.floating ? "floating" : ""}`}>
      <header class="top">
        <a class="brand" href={writeRoute({ screen: "home" })}>
          <Mark />
          Morula
        </a>
        {props.crumb && <div class="crumb">{props.crumb}</div>}
        <nav aria-label="Views">
          {props.tabs.map((tab) => (
            <a key={tab.name} href={tab.href} aria-current={tab.current ? "page" : undefined}>
              {tab.name}
            </a>
          ))}
        </nav>
        <div class="right">
          {props.actions}
          <SignOut />
          <ThemeButton />
        </div>
      </header>
      <aside class="panel" aria-label="Panel">
        {props.panel}
      </aside>
      <main tabIndex={-1}>
        {props.children}
        <Notes note={props.note} />
      </main>
      <footer class="keyline">
        {props.keyline}
        <button type="button" onClick={() => (helpOpen.value = true)}>
          <kbd>?</kbd> all keys
        </button>
        <div class="right">{props.last}</div>
      </footer>
      <Help keys={props.help} />
    </div>
  );
}

function SignOut() {
  const name = ownName();
  if (name === null) return null;
  const signOut = async () => {
    await api.signOut();
    location.reload();
  };
  return (
    <button type="button" class="link tiny" onClick={() => void signOut()} title={`Signed in with the key ${name}`}>
      Sign out
    </button>
  );
}

function ThemeButton() {
  const dark = theme.value === "dark";
  return (
    <button type="button" class="icon" onClick={toggleTheme} aria-label={dark ? "Light page" : "Dark page"}>
      <svg
        width="18"
        height="18"
        viewBox="0 0 18 18"
        fill="none"
        stroke="currentColor"
        stroke-width="1.5"
        aria-hidden="true"
      >
        {dark ? (
          <>
            <circle cx="9" cy="9" r="3.4" />
            <path
              stroke-linecap="round"
              d="M9 1.6v1.6M9 14.8v1.6M1.6 9h1.6M14.8 9h1.6M3.8 3.8l1.1 1.1M13.1 13.1l1.1 1.1M3.8 14.2l1.1-1.1M13.1 4.9l1.1-1.1"
            />
          </>
        ) : (
          <path stroke-linejoin="round" d="M15.4 10.9A6.8 6.8 0 0 1 7.1 2.6a6.8 6.8 0 1 0 8.3 8.3Z" />
        )}
      </svg>
    </button>
  );
}

function Help({ keys }: { keys: KeyHelp[] }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  // Before the next paint: a dialog that is shown late would cover what the person does meanwhile.
  useLayoutEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open) dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={() => (helpOpen.value = false)}>
      <h1 id="help-title">All keys</h1>
      <dl>
        {keys.map(({ keys: names, does }) => (
          <>
            <dt>
              {names.map((name) => (
                <kbd key={name}>{name}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </>
        ))}
      </dl>
      <footer>
        <label>
          <input
            type="checkbox"
            checked={singleKeys.value}
            onChange={(event) => setSingleKeys(event.currentTarget.checked)}
          />{" "}
          Single letters and digits act as keys
        </label>
        <button type="button" class="btn" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </footer>
    </dialog>
  );
}

export function Disclaimer() {
  return <p class="tiny">For research and education. Not for diagnosis.</p>;
}
