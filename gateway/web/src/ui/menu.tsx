// A button that opens a short list of acts. While it is open keys are its own; a closed one takes none but Enter and Space.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { returnToPage } from "../keys";

export interface Item {
  name: string;
  /** Picks it while the list is open. */
  key?: string | null;
  chosen?: boolean;
  before?: ComponentChildren;
  act: () => void;
}

interface MenuProps {
  label: string;
  title?: string;
  /** Classes and style of the button, and what is written on it. */
  class: string;
  style?: Record<string, string>;
  items: readonly Item[];
  children: ComponentChildren;
}

export function Menu(props: MenuProps) {
  const [opened, setOpened] = useState<"no" | "by key" | "by pointer">("no");
  const holder = useRef<HTMLSpanElement>(null);
  const open = opened !== "no";
  useEffect(() => {
    if (!open) return;
    const away = (event: PointerEvent) => !holder.current?.contains(event.target as Node) && setOpened("no");
    window.addEventListener("pointerdown", away);
    return () => window.removeEventListener("pointerdown", away);
  }, [open]);
  const close = () => {
    if (opened === "by key") holder.current?.querySelector<HTMLElement>("button")?.focus();
    else returnToPage();
    setOpened("no");
  };
  return (
    <span class="menu-holder" ref={holder}>
      <button
        type="button"
        class={props.class}
        style={props.style}
        title={props.title}
        aria-label={props.label}
        aria-haspopup="menu"
        aria-expanded={open}
        onClick={(event) => setOpened(open ? "no" : event.detail > 0 ? "by pointer" : "by key")}
      >
        {props.children}
      </button>
      {open && <List label={props.label} items={props.items} close={close} />}
    </span>
  );
}

interface ListProps {
  label: string;
  items: readonly Item[];
  close: () => void;
}

function List({ label, items, close }: ListProps) {
  const list = useRef<HTMLDivElement>(null);
  const buttons = () => [...(list.current?.querySelectorAll<HTMLElement>("button") ?? [])];
  useLayoutEffect(() => {
    list.current?.scrollIntoView({ block: "nearest" });
    buttons()[
      Math.max(
        0,
        items.findIndex((one) => one.chosen),
      )
    ]?.focus();
  }, []);
  const pick = (item: Item) => {
    close();
    item.act();
  };
  const step = (by: number) => {
    const all = buttons();
    const at = all.indexOf(document.activeElement as HTMLElement);
    all[(at + by + all.length) % all.length]?.focus();
  };
  const onKey = (event: KeyboardEvent) => {
    event.stopPropagation();
    const item = items.find((one) => one.key?.toLowerCase() === event.key.toLowerCase());
    if (event.key === "Enter" || event.key === " ") return;
    event.preventDefault();
    if (event.key === "Escape" || event.key === "Tab") close();
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") step(event.key === "ArrowDown" ? 1 : -1);
    else if (item) pick(item);
  };
  return (
    <div class="menu" role="menu" tabIndex={-1} aria-label={label} ref={list} onKeyDown={onKey}>
      {items.map((item) => (
        <button key={item.name} type="button" role="menuitem" aria-current={item.chosen} onClick={() => pick(item)}>
          {item.key && <kbd>{item.key}</kbd>}
          {item.before}
          <span>{item.name}</span>
        </button>
      ))}
    </div>
  );
}
