import { render } from "preact";
import { api } from "./api";
import { App } from "./app";
import { releaseClicked } from "./keys";
import { followHash } from "./route";
import { enter } from "./session";
import "./look/tokens.css";
import "./look/base.css";
import "./look/shell.css";
import "./look/sheet.css";

followHash();
releaseClicked();
// First of all: screens write down under whose name something is said. Where it fails, they say that nobody answers.
void api
  .session()
  .then(enter, () => undefined)
  .then(show);

function show(): void {
  const page = document.getElementById("page");
  if (!page) return;
  page.replaceChildren();
  render(<App />, page);
}
