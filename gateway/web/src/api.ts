// The one place that talks to the gateway. A refusal is a ProblemError, whatever went wrong.
import { boundTo } from "./kinds";
import { locked } from "./session";
import type {
  AppendedState,
  Block,
  Choices,
  Clustering,
  Clusters,
  Evaluation,
  EvaluationNumbers,
  EvaluationRequest,
  ExportName,
  Job,
  LabelEvent,
  Labelling,
  LabelSet,
  Model,
  NewSample,
  OpenTile,
  Page,
  Problem,
  Sample,
  SampleAppended,
  SampleTile,
  SampleWord,
  Session,
  Slide,
  StoredEvent,
  Suggestion,
  Truth,
} from "./types";

export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title);
  }
}

/** Address of `path` below the place the page was served from. */
export function address(path: string): string {
  return new URL(path.replace(/^\//, ""), document.baseURI.replace(/#.*$/, "")).toString();
}

export function asProblem(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  return {
    title: "Morula does not answer",
    status: 0,
    detail: "Is `morula serve` still running? The page goes on by itself when it is.",
  };
}

/** A problem's title without its full stop, for headings and for sentences that go on. */
export function titleOf(problem: Problem): string {
  return problem.title.replace(/\.$/, "");
}

/** A refusal that is about the way and not about what was asked: the same may be asked again, perhaps with a key. */
export function isAway(problem: Problem): boolean {
  return [0, 401, 429].includes(problem.status) || problem.status >= 500;
}

async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text();
  try {
    return { title: response.statusText, ...(JSON.parse(text) as object), status: response.status };
  } catch {
    return { title: response.statusText || "Refused", status: response.status, detail: text.slice(0, 300) };
  }
}

export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(address(path), init);
  if (response.status === 401) locked.value = true;
  if (!response.ok) throw new ProblemError(await problemOf(response));
  return response;
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await request(path, signal ? { signal } : {})).json()) as T;
}

/** Every item of a paged list. */
async function all<T>(path: string, name: string): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query: string = `limit=1000${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
    const answer: Listed = await get<Listed>(`${path}${path.includes("?") ? "&" : "?"}${query}`);
    items.push(...(answer[name] as T[]));
    cursor = answer.next_cursor;
  }
  return items;
}

/** A cluster by its node, or the cells in none. */
export type Wanted = number | "noise";

type Listed = { next_cursor: string | null } & Record<string, unknown>;

async function send<T>(method: string, path: string, body: unknown = {}): Promise<T> {
  const headers = { "Content-Type": "application/json" };
  return (await (await request(path, { method, headers, body: JSON.stringify(body) })).json()) as T;
}

async function bytes(path: string, range: [number, number] | null, signal?: AbortSignal): Promise<Uint8Array> {
  const headers: HeadersInit = range ? { Range: `bytes=${range[0]}-${range[1] - 1}` } : {};
  const response = await request(path, signal ? { headers, signal } : { headers });
  const whole = new Uint8Array(await response.arrayBuffer());
  return range && response.status === 200 ? whole.subarray(range[0], range[1]) : whole;
}

const v1 = {
  labelling: (id: string) => `v1/labellings/${encodeURIComponent(id)}`,
  clustering: (id: string) => `v1/clusterings/${encodeURIComponent(id)}`,
  slide: (id: string) => `v1/slides/${encodeURIComponent(id)}`,
  job: (id: string) => `v1/jobs/${encodeURIComponent(id)}`,
  evaluation: (id: string) => `v1/evaluations/${encodeURIComponent(id)}`,
  sample: (id: string) => `v1/samples/${encodeURIComponent(id)}`,
};

const whose = (annotator: string) => `annotator=${encodeURIComponent(annotator)}`;

export const api = {
  session: () => get<Session>("v1/session"),
  signIn: (key: string) => send<Session>("POST", "v1/session", { key }),
  signOut: () => request("v1/session", { method: "DELETE" }),

  slides: () => all<Slide>("v1/slides", "slides"),
  slide: (id: string) => get<Slide>(v1.slide(id)),
  thumbnail: (id: string, max_px: number) => address(`${v1.slide(id)}/thumbnail.jpeg?max_px=${max_px}`),
  tile: (id: string, zoom: number, column: number, row: number) =>
    `${v1.slide(id)}/tiles/${zoom}/${column}_${row}.jpeg`,

  jobs: () => all<Job>("v1/jobs", "jobs"),
  models: async () => (await get<{ models: Model[] }>("v1/models")).models,
  startJob: (slide_id: string, chosen: Choices) => send<Job>("POST", "v1/jobs", { slide_id, ...chosen }),
  job: (id: string) => get<Job>(v1.job(id)),
  cancelJob: (id: string) => send<Job>("POST", `${v1.job(id)}/cancel`),
  retryJob: (id: string) => send<Job>("POST", `${v1.job(id)}/retry`),

  clusterings: () => all<Clustering>("v1/clusterings", "clusterings"),
  truths: () => all<Truth>("v1/truths", "truths"),
  truth: (id: string) => get<Truth>(`v1/truths/${encodeURIComponent(id)}`),
  async bringTruth(file: File): Promise<Truth> {
    const body = new FormData();
    body.append("file", file, file.name);
    return (await (await request("v1/truths", { method: "POST", body })).json()) as Truth;
  },
  evaluations: () => all<Evaluation>("v1/evaluations", "evaluations"),
  evaluation: (id: string) => get<EvaluationNumbers>(v1.evaluation(id)),
  differences: <T>(id: string, against: string, signal: AbortSignal) =>
    get<T>(`${v1.evaluation(id)}/differences?against=${encodeURIComponent(against)}`, signal),
  evaluate: (wanted: EvaluationRequest) => send<Job>("POST", "v1/evaluations", wanted),
  report: (id: string) => address(`${v1.evaluation(id)}/report.html`),
  evaluationFile: (id: string) => address(`${v1.evaluation(id)}/evaluation.json`),
  evaluationData: <T>(id: string) => get<T>(`${v1.evaluation(id)}/evaluation.json`),

  /** False where it goes only when its work has stopped. What is gone already counts as gone. */
  async remove(kind: "slide" | "job" | "labelling" | "sample", id: string): Promise<boolean> {
    try {
      return (await request(v1[kind](id), { method: "DELETE" })).status !== 202;
    } catch (error) {
      if (asProblem(error).status === 404) return true;
      throw error;
    }
  },

  clustering: (id: string) => get<Clustering>(v1.clustering(id)),
  clusters: (id: string, count: number) => get<Clusters>(`${v1.clustering(id)}/clusters?count=${count}`),
  /** The job that splits a cluster into two; what was said in the labelling comes along. */
  split: (id: string, node_id: number, labelling_id: string) =>
    send<Job>("POST", `${v1.clustering(id)}/splits`, { node_id, labelling_id }),
  /** The job that groups anew all that has no name in the labelling; what was said in it comes along. */
  regroup: (id: string, cluster_count: number, labelling_id: string) =>
    send<Job>("POST", `${v1.clustering(id)}/regroupings`, { cluster_count, labelling_id }),
  blocks: (id: string, slide_id: string) =>
    get<{ block_px: number; blocks: Block[] }>(`${v1.clustering(id)}/blocks?slide_id=${encodeURIComponent(slide_id)}`),
  block: (id: string, slide_id: string, number: number, range: [number, number] | null, signal: AbortSignal) =>
    bytes(`${v1.clustering(id)}/blocks/${number}?slide_id=${encodeURIComponent(slide_id)}`, range, signal),
  leaves: (id: string, start: number, stop: number) =>
    bytes(`${v1.clustering(id)}/layers/leaf`, [start * 2, stop * 2]).then(littleEndian16),

  labelling: (id: string) => get<Labelling>(v1.labelling(id)),
  suggestions: (id: string) => get<{ suggestions: Suggestion[] }>(`${v1.labelling(id)}/suggestions`),
  async page(id: string, of?: Wanted): Promise<Page | null> {
    const query = of === undefined ? "" : of === "noise" ? "?noise=true" : `?node_id=${of}`;
    const response = await request(`${v1.labelling(id)}/page${query}`);
    return response.status === 204 ? null : ((await response.json()) as Page);
  },
  /** A page that was named before, by the event `seq`. */
  namedPage: (id: string, seq: number) => get<Page>(`${v1.labelling(id)}/pages/${seq}`),
  say: (id: string, event: LabelEvent, expected_seq: number) =>
    // A page is bound to what was seen of its cells, all others to the newest event that is known here.
    send<AppendedState>(
      "POST",
      `${v1.labelling(id)}/events`,
      boundTo(event) === "page" ? event : { ...event, expected_seq },
    ),
  events: (id: string) => all<StoredEvent>(`${v1.labelling(id)}/events`, "events"),
  setCut: (id: string, cluster_count: number) => send<unknown>("PUT", `${v1.labelling(id)}/cut`, { cluster_count }),
  cut: (id: string) => get<{ node_of_leaf: number[] }>(`${v1.labelling(id)}/cut`),
  layer: (id: string, version: number, layer: "class" | "confidence", start: number, stop: number) =>
    bytes(`${v1.labelling(id)}/layers/${version}/${layer}`, [start, stop]),
  exportAddress: (id: string, name: ExportName) => address(`${v1.labelling(id)}/${name}`),

  labelSets: () => all<LabelSet>("v1/label-sets", "label_sets"),
  samples: (annotator: string) => all<Sample>(`v1/samples?${whose(annotator)}`, "samples"),
  startSample: (wanted: NewSample) => send<Sample>("POST", "v1/samples", wanted),
  sample: (id: string, annotator: string) => get<Sample>(`${v1.sample(id)}?${whose(annotator)}`),
  sampleTiles: (id: string, annotator: string) =>
    all<SampleTile>(`${v1.sample(id)}/tiles?${whose(annotator)}`, "tiles"),
  sampleTile: (id: string, number: number, annotator: string) =>
    get<OpenTile>(`${v1.sample(id)}/tiles/${number}?${whose(annotator)}`),
  picture: (tile: OpenTile) => address(tile.picture.href),
  sayOfSample: (id: string, word: SampleWord) => send<SampleAppended>("POST", `${v1.sample(id)}/events`, word),
  humanLabels: (id: string, batch: number, annotator: string) =>
    address(`${v1.sample(id)}/batches/${batch}/human_labels.json?${whose(annotator)}`),
  truthOfSample: (sample_id: string) => send<Truth>("POST", "v1/truths", { sample_id }),

  addClass: (set_id: string, name: string) =>
    send<LabelSet>("POST", `v1/label-sets/${encodeURIComponent(set_id)}/classes`, { name }),
  renameClass: (set_id: string, number: number, name: string) =>
    send<LabelSet>("PATCH", `v1/label-sets/${encodeURIComponent(set_id)}/classes/${number}`, { name }),
};

function littleEndian16(raw: Uint8Array): Uint16Array {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return Uint16Array.from({ length: raw.byteLength >> 1 }, (_, index) => view.getUint16(index * 2, true));
}

/** A file and what it is called inside its slide. */
interface Named {
  name: string;
  file: File;
}

/** Sends one slide with progress; `fetch` cannot say how much was sent. */
export function upload(files: readonly Named[], onShare: (share: number) => void, signal: AbortSignal): Promise<Slide> {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    for (const { name, file } of files) form.append("file", file, name);
    const sending = new XMLHttpRequest();
    sending.open("POST", address("v1/slides"));
    sending.upload.onprogress = (event) => event.lengthComputable && onShare(event.loaded / event.total);
    sending.onerror = () => reject(new TypeError("the connection broke"));
    sending.onabort = () => reject(new DOMException("upload cancelled", "AbortError"));
    sending.onload = () => {
      const answer: unknown = parsed(sending.responseText);
      if (sending.status < 300) resolve(answer as Slide);
      else reject(new ProblemError({ title: sending.statusText, ...(answer as object), status: sending.status }));
    };
    signal.addEventListener("abort", () => sending.abort());
    sending.send(form);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { detail: text.slice(0, 300) };
  }
}
