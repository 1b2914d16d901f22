// Light or dark: the system's choice until the person makes one.
import { effect, signal } from "@preact/signals";

export type Theme = "light" | "dark";
const STORED = "morula.theme";

const system = window.matchMedia("(prefers-color-scheme: dark)");
const chosen = localStorage.getItem(STORED);

export const theme = signal<Theme>(
  chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light",
);

system.addEventListener("change", () => {
  if (!localStorage.getItem(STORED)) theme.value = system.matches ? "dark" : "light";
});

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

export function toggleTheme(): void {
  theme.value = theme.value === "dark" ? "light" : "dark";
  localStorage.setItem(STORED, theme.value);
}
