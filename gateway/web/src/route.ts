// Where the page is, kept after the `#` so that any static host serves it and the back button works.
import { signal } from "@preact/signals";

export type Route =
  | { screen: "home" }
  | { screen: "board"; labelling: string }
  | { screen: "slide"; labelling: string; slide: string | null; at: At | null }
  | { screen: "look"; slide: string }
  /** With a clustering, or a truth: the form is open for it. */
  | { screen: "evaluations"; clustering: string | null; truth: string | null }
  /** With a job: the form is open for its slide. */
  | { screen: "samples"; job: string | null }
  | { screen: "tiles"; sample: string }
  | { screen: "evaluation"; id: string }
  | { screen: "compare"; ids: readonly string[] };

/** A place on a slide, in level-0 pixels. */
export interface At {
  x_px: number;
  y_px: number;
  row: number | null;
}

export function readRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [screen, id, slide] = path.split("/").map(decodeURIComponent);
  if (screen === "board" && id) return { screen, labelling: id };
  if (screen === "slide" && id)
    return { screen, labelling: id, slide: slide || null, at: readAt(new URLSearchParams(query)) };
  if (screen === "look" && id) return { screen, slide: id };
  const asked = new URLSearchParams(query);
  if (screen === "evaluations") return { screen, clustering: asked.get("clustering"), truth: asked.get("truth") };
  if (screen === "samples") return { screen, job: asked.get("job") };
  if (screen === "tiles" && id) return { screen, sample: id };
  if (screen === "evaluation" && id) return { screen, id };
  if (screen === "compare" && id) return { screen, ids: id.split(",").filter(Boolean) };
  return { screen: "home" };
}

function readAt(query: URLSearchParams): At | null {
  const [x_px, y_px] = [Number(query.get("x")), Number(query.get("y"))];
  if (!query.has("x") || !Number.isFinite(x_px) || !Number.isFinite(y_px)) return null;
  return { x_px, y_px, row: query.has("row") ? Number(query.get("row")) : null };
}

export function writeRoute(route: Route): string {
  if (route.screen === "board") return `#/board/${encodeURIComponent(route.labelling)}`;
  if (route.screen === "look") return `#/look/${encodeURIComponent(route.slide)}`;
  if (route.screen === "home") return "#/";
  if (route.screen === "evaluation") return `#/evaluation/${encodeURIComponent(route.id)}`;
  if (route.screen === "compare") return `#/compare/${route.ids.map(encodeURIComponent).join(",")}`;
  if (route.screen === "evaluations")
    return `#/evaluations${asking({ clustering: route.clustering, truth: route.truth })}`;
  if (route.screen === "samples") return `#/samples${asking({ job: route.job })}`;
  if (route.screen === "tiles") return `#/tiles/${encodeURIComponent(route.sample)}`;
  const slide = route.slide ? `/${encodeURIComponent(route.slide)}` : "";
  const row = route.at?.row == null ? "" : `&row=${route.at.row}`;
  const at = route.at ? `?x=${Math.round(route.at.x_px)}&y=${Math.round(route.at.y_px)}${row}` : "";
  return `#/slide/${encodeURIComponent(route.labelling)}${slide}${at}`;
}

function asking(fields: Record<string, string | null>): string {
  const said = Object.entries(fields).filter((one): one is [string, string] => one[1] !== null);
  return said.length > 0 ? `?${new URLSearchParams(said)}` : "";
}

export const route = signal<Route>({ screen: "home" });

export function followHash(): void {
  const read = () => {
    route.value = readRoute(window.location.hash);
  };
  window.addEventListener("hashchange", read);
  read();
}

export function go(to: Route): void {
  window.location.hash = writeRoute(to);
}
