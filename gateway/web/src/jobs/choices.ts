// What may be chosen of how a slide's cells are found, and a model in words.
import { countOf } from "../format";
import type { Choices, Job, Model, Slide } from "../types";

export const CHANNELS = [
  "red",
  "green",
  "blue",
  "gray",
  "fluorescence",
  "haematoxylin",
  "inverted_red",
  "inverted_green",
  "inverted_blue",
  "inverted_gray",
  "inverted_fluorescence",
  "inverted_haematoxylin",
  "none",
] as const satisfies NonNullable<Choices["channels"]>;

/** What slides may be stained with, as the gateway calls it, and in words. */
export const STAINS = {
  "H&E": "haematoxylin and eosin",
  IHC: "IHC: haematoxylin and DAB",
  fluorescence: "fluorescence",
  other: "another one",
} as const satisfies Record<NonNullable<Choices["stain"]>, string>;

/** What is known of a slide's stain. */
export function stainWords({ stain, stain_detected }: Slide): string {
  if (stain === null) return "stain not known";
  const word = stain === "other" ? "another stain" : stain;
  return stain_detected ? `${word}, by its colours` : word;
}

export const NORMALIZATIONS = ["slide", "image", "none"] as const satisfies NonNullable<Choices["normalize"]>[];

interface Text {
  label: string;
  says: string;
  unit?: string;
}

/** Numbers, in the order in which people reach for them. */
export const NUMBERS = {
  diameter_um: { label: "Diameter of a cell", unit: "µm", says: "Of a typical one." },
  min_area_um2: { label: "Smallest cell", unit: "µm²", says: "What is smaller is left out." },
  cellprob_threshold: { label: "Cell probability", says: "Lower finds more and larger cells." },
  flow_threshold: { label: "Flow error", says: "Higher lets odder shapes pass; 0 asks nothing." },
  niter: { label: "Steps along flows", says: "More for long cells." },
  max_size_fraction: { label: "Largest cell", says: "As a share of 2,048 px." },
} as const satisfies Partial<Record<keyof Choices, Text>>;

export const FLAGS = {
  augment: { label: "Look at it flipped, too", says: "About four times as slow, a little better." },
  keep_rejected: { label: "Cells just outside of kept tiles, too", says: "Where they are seen whole." },
} as const satisfies Partial<Record<keyof Choices, Text>>;

export type NumberName = keyof typeof NUMBERS;
export type FlagName = keyof typeof FLAGS;

/** Whether a model takes notice of it: of others it is neither offered nor sent. */
export function takes(model: Model, name: string): boolean {
  return name in model.defaults;
}

export function names<T extends object>(all: T): (keyof T & string)[] {
  return Object.keys(all) as (keyof T & string)[];
}

/** What a model does where a field is left empty. */
export function defaultOf(model: Model, name: NumberName): string {
  const value = model.defaults[name];
  if (typeof value === "number") return String(value);
  return name === "diameter_um" && model.measures_objects ? "measured" : "automatic";
}

/** What the form says, and of that only what is not the model's own; beneath it what it carries over, if that is kept. */
export function readChoices(form: FormData, segmenter: Model, embedder: Model, first: Choices): Choices {
  const chosen: Choices = form.has("carried") ? carriedOf(first) : {};
  // A preset has models and a normalization of its own, which stand where none is named.
  if (chosen.preset || !segmenter.is_default) chosen.segmenter = segmenter.name;
  if (chosen.preset || !embedder.is_default) chosen.embedder = embedder.name;
  const stain = names(STAINS).find((one) => one === form.get("stain"));
  if (stain) chosen.stain = stain;
  const text = (name: string) => (takes(segmenter, name) ? String(form.get(name) ?? "").trim() : "");
  for (const name of names(NUMBERS)) if (text(name) !== "") chosen[name] = Number(text(name));
  for (const name of names(FLAGS)) if (text(name) !== "") chosen[name] = true;
  const normalize = NORMALIZATIONS.find((one) => one === text("normalize"));
  if (normalize && (chosen.preset || normalize !== segmenter.defaults.normalize)) chosen.normalize = normalize;
  const channels = form.getAll("channels").flatMap((value) => CHANNELS.find((one) => one === value) ?? []);
  if (takes(segmenter, "channels") && channels.join() !== String(segmenter.defaults.channels))
    chosen.channels = channels;
  return chosen;
}

/** What a job was asked of its models. */
export function choicesOf(job: Job): Choices {
  const asked = ["segmenter", "embedder", ...names(NUMBERS), ...names(FLAGS), "normalize", "channels"];
  return Object.fromEntries(asked.filter((name) => name in job.params).map((name) => [name, job.params[name]]));
}

/** How and where a job looks that was not asked to look otherwise: it is not worth a word. */
const ORDINARY = { preset: "default", mpp: 0.5, sample_tile_count: 0, origin_x_px: 0, origin_y_px: 0 } as const;

/** What a job may have been asked that the form has no field for: where and at which scale it looks, and how it clusters. */
const CARRIED = [
  ...names(ORDINARY),
  "slide_mpp",
  "include",
  "exclude",
  "eps",
  "layout",
] as const satisfies (keyof Choices)[];

export function carriedOf(first: Choices): Choices {
  return Object.fromEntries(CARRIED.filter((name) => first[name] != null).map((name) => [name, first[name]]));
}

/** The request that a job was, so that it can be asked again, or otherwise. */
export function requestOf(job: Job, slide: Slide): Choices {
  const { slide_mpp, stain, include_geojson, exclude_geojson, eps, layout, ...params } = job.params;
  const place = names(ORDINARY).filter((name) => name in params && params[name] !== ORDINARY[name]);
  return {
    ...choicesOf(job),
    ...Object.fromEntries(place.map((name) => [name, params[name]])),
    ...(typeof slide_mpp === "number" && slide_mpp !== slide.mpp && { slide_mpp }),
    ...stainOf(stain, slide),
    ...(typeof eps === "number" && { eps }),
    ...(typeof layout === "string" && { layout: "umap" as const }),
    ...regionsOf("include", include_geojson),
    ...regionsOf("exclude", exclude_geojson),
  };
}

/** Where a job was told another stain than the slide has. */
function stainOf(said: unknown, slide: Slide): Choices {
  const stain = names(STAINS).find((one) => one === said);
  return stain && stain !== slide.stain ? { stain } : {};
}

/** A job keeps regions as the text of their GeoJSON, empty where there are none. */
function regionsOf(name: "include" | "exclude", text: unknown): Choices {
  return typeof text === "string" && text !== "" ? { [name]: JSON.parse(text) } : {};
}

/** Of what was asked, what this model takes notice of and would not do by itself. */
export function askedOf(first: Choices, model: Model): Choices {
  const kept = Object.entries(first).filter(
    ([name, value]) => takes(model, name) && String(value) !== String(model.defaults[name]),
  );
  const chosen: Choices = Object.fromEntries(kept);
  const count = Array.isArray(model.defaults.channels) ? model.defaults.channels.length : 0;
  if (chosen.channels?.length !== count) delete chosen.channels;
  return chosen;
}

/** Of the one that takes cells which came with a slide: only an import brings some. */
const IMPORTED = "imported_cells";

/** What may be asked for: variants stand in for the model that is, where a slide's stain wants it. */
export function offered(models: readonly Model[], task: Model["task"]): Model[] {
  return models.filter((one) => one.task === task && !one.variant_of && !one.channels.includes(IMPORTED));
}

export function modelOf(
  models: readonly Model[],
  task: Model["task"],
  called: string | null | undefined,
): Model | null {
  const there = offered(models, task);
  const name = models.find((one) => one.task === task && one.name === called)?.variant_of ?? called;
  const usable = there.filter((one) => !one.refusal);
  return usable.find((one) => one.name === name) ?? usable.find((one) => one.is_default) ?? usable[0] ?? null;
}

/** How fast it was on this machine; what is not known is said so. */
export function speedOf({ speed }: Model): string {
  if (!speed) return "not yet timed here";
  const seconds = speed.seconds_per_mm2;
  const digits = seconds >= 10 ? 0 : seconds >= 1 ? 1 : 2;
  return `${seconds.toFixed(digits)} s per mm² here, over ${countOf(speed.shard_count, "part")}`;
}

const COMMERCIAL: Record<Model["commercial"], string> = {
  yes: "commercial use allowed",
  no: "no commercial use",
  unclear: "commercial use unclear",
};

export function licenceOf(model: Model): string {
  return `${model.licence}, ${COMMERCIAL[model.commercial]}`;
}

/** What was chosen beside the models, in words; empty where nothing was. */
export function chosenWords(chosen: Choices): string {
  const numbers = names(NUMBERS).flatMap((name) => {
    const { label, unit } = NUMBERS[name] as Text;
    const value = chosen[name];
    return value == null ? [] : [`${label.toLowerCase()} ${value}${unit ? ` ${unit}` : ""}`];
  });
  const flags = names(FLAGS).flatMap((name) => (chosen[name] ? [FLAGS[name].label.toLowerCase()] : []));
  const brightness = chosen.normalize ? [`brightness: ${chosen.normalize}`] : [];
  const channels = chosen.channels ? [`channels ${chosen.channels.join(", ")}`] : [];
  return [...numbers, ...brightness, ...channels, ...flags].join(" · ");
}

/** What a form carries over, in words; empty where it is nothing. */
export function carriedWords(first: Choices): string {
  const { preset, mpp, slide_mpp, include, exclude, sample_tile_count, origin_x_px = 0, origin_y_px = 0 } = first;
  const { eps, layout } = first;
  const said = [
    slide_mpp != null && `slide at ${slide_mpp} µm per px`,
    mpp != null && `looked at with ${mpp} µm per px`,
    include && "only in its regions",
    exclude && "not in regions left out",
    sample_tile_count && `a sample of ${countOf(sample_tile_count, "tile")}`,
    (origin_x_px || origin_y_px) && `the grid from ${origin_x_px}, ${origin_y_px} px`,
    preset && `the preset ${preset}`,
    eps != null && (eps > 0 ? `clusters by an eps of ${eps}` : "clusters by an eps at the knee"),
    layout && "laid out by UMAP",
  ];
  return said.filter(Boolean).join(" · ");
}
