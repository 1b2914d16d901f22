import { render } from "preact";
import { App } from "./app";
import { releaseClicked } from "./keys";
import { followHash } from "./route";
import "./look/tokens.css";
import "./look/base.css";
import "./look/shell.css";
import "./look/sheet.css";

followHash();
releaseClicked();
const page = document.getElementById("page");
if (page) {
  page.replaceChildren();
  render(<App />, page);
}
