// In place of every screen, where the server asks for a key.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { api, asProblem, titleOf } from "../api";
import type { Problem } from "../types";
import { Mark } from "./parts";
import { Disclaimer } from "./shell";

export function KeyForm() {
  const field = useRef<HTMLInputElement>(null);
  const [refusal, setRefusal] = useState<Problem | null>(null);
  useLayoutEffect(() => field.current?.focus(), []);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    try {
      await api.signIn(field.current?.value.trim() ?? "");
      // All that was refused is read anew, and what waits to be sent goes out.
      location.reload();
    } catch (error) {
      setRefusal(asProblem(error));
    }
  };
  return (
    <main class="key-form" tabIndex={-1}>
      <form class="sheet" onSubmit={(event) => void submit(event)} onInput={() => setRefusal(null)}>
        <h1 class="page-title">
          <Mark /> This server asks for a key
        </h1>
        <p class="muted">Whoever runs it makes one for you. It is forgotten when you sign out or close the browser.</p>
        <label>
          Key
          <input ref={field} class="field" type="password" autocomplete="current-password" required maxLength={200} />
        </label>
        {refusal && (
          <p class="refusal" role="alert">
            {refusal.detail ?? titleOf(refusal)}
          </p>
        )}
        <button type="submit" class="btn main wide">
          Sign in
        </button>
        <Disclaimer />
      </form>
    </main>
  );
}
