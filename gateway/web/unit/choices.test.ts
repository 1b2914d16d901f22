import { describe, expect, test } from "vitest";
import {
  askedOf,
  carriedWords,
  choicesOf,
  chosenWords,
  defaultOf,
  modelOf,
  offered,
  readChoices,
  requestOf,
  speedOf,
  stainWords,
} from "../src/jobs/choices";
import type { Job, Model, Slide } from "../src/types";

const watershed = {
  name: "watershed",
  task: "segmenter",
  is_default: true,
  refusal: null,
  measures_objects: false,
  channels: ["red", "green", "blue"],
  defaults: { diameter_um: 8, min_area_um2: 10, keep_rejected: false },
  speed: { seconds_per_mm2: 0.824, seconds_per_megapixel: 0.2, shard_count: 1 },
} as unknown as Model;
const network = {
  name: "network",
  task: "segmenter",
  is_default: false,
  refusal: null,
  measures_objects: true,
  channels: ["gray", "none"],
  defaults: {
    diameter_um: null,
    flow_threshold: 0.4,
    niter: null,
    normalize: "slide",
    augment: false,
    channels: ["gray", "none"],
  },
  speed: null,
} as unknown as Model;
const embedder = {
  name: "morphology",
  task: "embedder",
  channels: ["red", "green", "blue"],
  is_default: true,
  refusal: null,
} as unknown as Model;

function form(...fields: [string, string][]): FormData {
  const filled = new FormData();
  for (const [name, value] of fields) filled.append(name, value);
  return filled;
}

describe("what is chosen", () => {
  test("nothing is chosen where a form is as it was shown", () => {
    const shown = form(["diameter_um", ""], ["normalize", "slide"], ["channels", "gray"], ["channels", "none"]);
    expect(readChoices(shown, network, embedder, {})).toEqual({ segmenter: "network" });
    expect(readChoices(form(["diameter_um", " "]), watershed, embedder, {})).toEqual({});
  });
  test("what was filled in is asked for, zero too", () => {
    const filled = form(
      ["flow_threshold", "0"],
      ["augment", "on"],
      ["normalize", "image"],
      ["channels", "haematoxylin"],
      ["channels", "none"],
    );
    expect(readChoices(filled, network, embedder, {})).toEqual({
      segmenter: "network",
      flow_threshold: 0,
      augment: true,
      normalize: "image",
      channels: ["haematoxylin", "none"],
    });
  });
  test("a model is asked nothing that it takes no notice of", () => {
    expect(readChoices(form(["flow_threshold", "0.3"], ["augment", "on"]), watershed, embedder, {})).toEqual({});
    const asked = { diameter_um: 12, flow_threshold: 0.3, channels: ["red" as const] };
    expect(askedOf(asked, watershed)).toEqual({ diameter_um: 12 });
    expect(askedOf(asked, network)).toEqual({ diameter_um: 12, flow_threshold: 0.3 });
  });
  test("a job says what it was asked, and in words what a model would not do by itself", () => {
    const params = { segmenter: "network", embedder: "morphology", normalize: "slide", diameter_um: 12, mpp: 0.5 };
    const asked = choicesOf({ params } as unknown as Job);
    expect(asked).toEqual({ segmenter: "network", embedder: "morphology", normalize: "slide", diameter_um: 12 });
    expect(chosenWords(askedOf(asked, network))).toBe("diameter of a cell 12 µm");
  });
});

describe("what a run was is asked again", () => {
  const regions = {
    type: "MultiPolygon",
    coordinates: [
      [
        [
          [0, 0],
          [9, 0],
          [9, 9],
          [0, 0],
        ],
      ],
    ],
  };
  const slide = { mpp: 0.25, stain: "H&E" } as unknown as Slide;
  const ordinary = {
    ...{
      preset: "default",
      segmenter: "network",
      embedder: "morphology",
      mpp: 0.5,
      slide_mpp: 0.25,
      stain: "H&E",
      normalize: "slide",
    },
    ...{ include_geojson: "", exclude_geojson: "", sample_tile_count: 0, origin_x_px: 0, origin_y_px: 0 },
    ...{ segmenter_revision: "1", tile_px: 512, seed: 0, halo_px: 32 },
  };
  const models = { segmenter: "network", embedder: "morphology", normalize: "slide" };
  const request = (params: object, of = slide) =>
    requestOf({ params: { ...ordinary, ...params } } as unknown as Job, of);

  test("of an ordinary one its models", () => {
    expect(request({})).toEqual(models);
    expect(carriedWords(request({}))).toBe("");
  });
  test.each([
    [{ mpp: 1 }, { mpp: 1 }, "looked at with 1 µm per px"],
    [{ slide_mpp: 0.5 }, { slide_mpp: 0.5 }, "slide at 0.5 µm per px"],
    [{ preset: "paper-tiles" }, { preset: "paper-tiles" }, "the preset paper-tiles"],
    [{ preset: "paper", eps: 0 }, { preset: "paper", eps: 0 }, "the preset paper · clusters by an eps at the knee"],
    [{ include_geojson: JSON.stringify(regions) }, { include: regions }, "only in its regions"],
    [{ exclude_geojson: JSON.stringify(regions) }, { exclude: regions }, "not in regions left out"],
    [{ sample_tile_count: 20 }, { sample_tile_count: 20 }, "a sample of 20 tiles"],
    [{ origin_y_px: -3 }, { origin_y_px: -3 }, "the grid from 0, -3 px"],
  ])("with %o", (params, carried, words) => {
    const first = request(params);
    expect(first).toEqual({ ...models, ...carried });
    expect(carriedWords(first)).toBe(words);
  });
  test("with the scale that was given where the slide says none", () => {
    expect(request({}, { mpp: null, stain: "H&E" } as unknown as Slide)).toEqual({ ...models, slide_mpp: 0.25 });
  });
  test("with the stain that was said where the slide has another, or none", () => {
    const first = request({}, { mpp: 0.25, stain: null } as unknown as Slide);
    expect(first).toEqual({ ...models, stain: "H&E" });
    expect(readChoices(form(["stain", "IHC"]), watershed, embedder, first)).toEqual({ stain: "IHC" });
    expect(readChoices(form(["stain", ""]), watershed, embedder, first)).toEqual({});
  });
  test("where it looked comes beneath what the form says, unless it is let go", () => {
    const first = request({ sample_tile_count: 20, include_geojson: JSON.stringify(regions), diameter_um: 12 });
    const filled: [string, string][] = [["min_area_um2", "4"]];
    const kept = readChoices(form(["carried", "on"], ...filled), watershed, embedder, first);
    expect(kept).toEqual({ sample_tile_count: 20, include: regions, min_area_um2: 4 });
    expect(readChoices(form(...filled), watershed, embedder, first)).toEqual({ min_area_um2: 4 });
  });
  test("a preset's models and normalization give way to those that are chosen", () => {
    const first = request({ preset: "paper-tiles", normalize: "image" });
    const shown = form(["carried", "on"], ["normalize", "slide"], ["channels", "gray"], ["channels", "none"]);
    const kept = readChoices(shown, network, embedder, first);
    expect(kept).toEqual({ preset: "paper-tiles", segmenter: "network", embedder: "morphology", normalize: "slide" });
    const otherwise = readChoices(form(["carried", "on"]), watershed, embedder, request({ preset: "paper", eps: 0.5 }));
    expect(otherwise).toEqual({ preset: "paper", segmenter: "watershed", embedder: "morphology", eps: 0.5 });
  });
});

describe("models", () => {
  test("one that is refused is never chosen", () => {
    const refused = { ...watershed, refusal: "its licence forbids it" };
    expect(modelOf([refused, network, embedder], "segmenter", "watershed")).toBe(network);
    expect(modelOf([watershed, network], "segmenter", undefined)).toBe(watershed);
    expect(modelOf([refused], "segmenter", undefined)).toBeNull();
  });
  test("a variant is offered as the model that it stands in for", () => {
    const plain = { ...embedder, name: "morphology-plain", is_default: false, variant_of: "morphology" };
    expect(offered([embedder, plain, watershed], "embedder")).toEqual([embedder]);
    expect(modelOf([plain, embedder], "embedder", "morphology-plain")).toBe(embedder);
  });
  test("cells that came with a slide are not to be chosen", () => {
    const imported = { ...watershed, name: "imported", channels: ["imported_cells"] };
    expect(offered([imported, watershed], "segmenter")).toEqual([watershed]);
  });
  test("what is known of a stain is said, and whence", () => {
    const words = [
      ["H&E", false],
      ["fluorescence", true],
      [null, false],
    ].map(([stain, stain_detected]) => stainWords({ stain, stain_detected } as Slide));
    expect(words).toEqual(["H&E", "fluorescence, by its colours", "stain not known"]);
  });
  test("a speed that nobody measured is not guessed", () => {
    expect(speedOf(network)).toBe("not yet timed here");
    expect(speedOf(watershed)).toBe("0.82 s per mm² here, over 1 part");
  });
  test("a default is shown, or that it is found out", () => {
    expect(["diameter_um", "min_area_um2"].map((name) => defaultOf(watershed, name as "diameter_um"))).toEqual([
      "8",
      "10",
    ]);
    expect([defaultOf(network, "diameter_um"), defaultOf(network, "niter")]).toEqual(["measured", "automatic"]);
  });
});
