// A name that is written in its place. What was refused stays in the field, with the reason below it.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { returnToPage } from "../keys";
import type { Problem } from "../types";

/** Answers why the name was refused, or null. */
export type Save = (name: string) => Promise<Problem | null>;

interface FieldProps {
  label: string;
  value: string;
  placeholder?: string;
  save: Save;
  /** Takes the focus when it appears. */
  isFirst?: boolean;
}

export function NameField({ label, value, placeholder = "", save, isFirst = false }: FieldProps) {
  const [refusal, setRefusal] = useState<Problem | null>(null);
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    if (isFirst) field.current?.focus();
  }, [isFirst]);
  const saving = useRef(false);
  const commit = async (input: HTMLInputElement) => {
    const name = input.value.trim();
    if (saving.current) return;
    saving.current = true;
    const refused = name === "" || name === value ? null : await save(name);
    saving.current = false;
    setRefusal(refused);
    if (!refused && input.value.trim() === name) input.value = value && (name || value);
  };
  const leave = (input: HTMLInputElement) => {
    input.value = value;
    setRefusal(null);
    returnToPage();
  };
  return (
    <span class="named-field">
      <input
        ref={field}
        class="field"
        aria-label={label}
        aria-invalid={refusal !== null}
        defaultValue={value}
        placeholder={placeholder}
        maxLength={60}
        onInput={() => setRefusal(null)}
        onKeyDown={(event) => {
          if (event.key === "Enter") void commit(event.currentTarget);
          if (event.key === "Escape") leave(event.currentTarget);
        }}
        onBlur={(event) => void commit(event.currentTarget)}
      />
      {refusal && (
        <span class="refusal" role="alert">
          {refusal.detail ?? refusal.title}
        </span>
      )}
    </span>
  );
}
