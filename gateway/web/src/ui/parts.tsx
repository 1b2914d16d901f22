// Small parts that every screen uses.
import type { ComponentChildren } from "preact";
import { titleOf } from "../api";
import type { Klass, Problem } from "../types";

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 22 22" aria-hidden="true">
      <g fill="var(--accent)">
        <circle cx="11" cy="5.4" r="3.6" />
        <circle cx="6" cy="10" r="3.6" opacity=".75" />
        <circle cx="16" cy="10" r="3.6" opacity=".75" />
        <circle cx="8.4" cy="15.6" r="3.6" opacity=".55" />
        <circle cx="14" cy="15.6" r="3.6" opacity=".85" />
      </g>
    </svg>
  );
}

/** "Not a cell" is a class without a colour: it is drawn as an empty ring. */
export function isHollow(klass: Klass): boolean {
  return klass.key === "X";
}

export function Dot({ klass }: { klass: Klass }) {
  return (
    <i class={`dot tinted ${isHollow(klass) ? "hollow" : ""}`} style={{ "--c": klass.color }} aria-hidden="true" />
  );
}

export function ClassChip({ klass, children }: { klass: Klass; children?: ComponentChildren }) {
  return (
    <span class="chip tinted" style={{ "--c": klass.color }}>
      {children ?? klass.name}
    </span>
  );
}

export function Keys({ names, children }: { names: string[]; children: ComponentChildren }) {
  return (
    <span>
      {names.map((name) => (name === "–" ? <span key={name}>–</span> : <kbd key={name}>{name}</kbd>))} {children}
    </span>
  );
}

interface StateProps {
  title: string;
  children?: ComponentChildren;
  action?: { label: string; act: () => void };
}

/** Empty, loading and failed are designed states: a sentence, what to do, a button. */
export function State({ title, children, action }: StateProps) {
  return (
    <div class="state">
      <Mark />
      <h1>{title}</h1>
      <p>{children}</p>
      {action && (
        <button type="button" class="btn main" onClick={action.act}>
          {action.label}
        </button>
      )}
    </div>
  );
}

interface FailedProps {
  problem: Problem;
  again: () => void;
  /** What is offered where trying again is no use. */
  instead?: { label: string; act: () => void };
}

export function Failed({ problem, again, instead }: FailedProps) {
  const action = problem.status === 404 && instead ? instead : { label: "Try again", act: again };
  return (
    <div role="alert" class="state-holder">
      <State title={titleOf(problem)} action={action}>
        {problem.detail ?? "Nothing was lost: everything said so far is stored."}
      </State>
    </div>
  );
}
