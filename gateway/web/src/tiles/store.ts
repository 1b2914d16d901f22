// One sample: its tiles, what this annotator said of their cells, and the word to say next. No cluster and no prediction
// is here, for the gateway tells none.
import { computed, effect, signal } from "@preact/signals";
import { api, asProblem, titleOf } from "../api";
import { type SampleOutbox, sampleOutboxOf, takenOver } from "../outboxes";
import { ownName } from "../session";
import { keep, read } from "../storage";
import type { Klass, OpenTile, Problem, Sample, SampleTile, SampleWord } from "../types";
import type { Note } from "../ui/notes";
import { type Cells, cellsAfter, flagged, labelled, undone } from "./kinds";
import { inReadingOrder, placed } from "./places";

/** A word of this window, or of a closed one whose words it took over. */
interface Given {
  id: string;
  word: SampleWord;
  /** The number under which the gateway has it, at most; null while it waits. */
  seq: number | null;
}

/** What a click does. */
export type Tool = { kind: "class"; number: number } | { kind: "erase" } | { kind: "flag" };

const ANNOTATOR = "morula.annotator";
const NOBODY = "local";
/** What others say is read when so long nothing was said. */
const QUIET_MS = 1500;

/** With a key its name, whatever was said before. */
export function annotatorKept(): string {
  const name = ownName();
  if (name !== null) return name;
  return read(ANNOTATOR, (value): value is string => typeof value === "string" && value !== "") ?? NOBODY;
}

export class TilesScene {
  readonly sample = signal<Sample | null>(null);
  readonly problem = signal<Problem | null>(null);
  /** Why the tile that is wanted is not here. */
  readonly lacking = signal<Problem | null>(null);
  readonly notice = signal<Note | null>(null);
  readonly annotator = signal(annotatorKept());
  readonly number = signal(1);
  readonly tool = signal<Tool>({ kind: "class", number: 1 });
  readonly selected = signal<number | null>(null);
  readonly onlyUnlabelled = signal(false);
  private readonly listed = signal<readonly SampleTile[]>([]);
  /** As the gateway told them last. */
  private readonly opened = signal<ReadonlyMap<number, OpenTile>>(new Map());
  private readonly given = signal<readonly Given[]>([]);
  private readonly outbox: SampleOutbox;
  private hearing: ReturnType<typeof setTimeout> | undefined;

  readonly tile = computed(() => this.withWords(this.opened.value.get(this.number.value)));
  readonly klasses = computed<readonly Klass[]>(() => this.sample.value?.label_set.classes ?? []);
  readonly places = computed(() => placed(this.tile.value?.cells ?? []));
  /** Tiles with what was said of them up to now. */
  readonly tiles = computed<readonly SampleTile[]>(() =>
    this.listed.value.map((one) => {
      const cells = this.withWords(this.opened.value.get(one.number))?.cells;
      return cells ? { ...one, labelled_count: cells.filter((cell) => cell.class_number !== null).length } : one;
    }),
  );

  constructor(readonly id: string) {
    this.outbox = sampleOutboxOf(id);
  }

  /** The sample, and of its tiles the first that is not labelled whole. */
  async load(): Promise<void> {
    try {
      await takenOver;
      await this.readSample();
      if (!this.opened.value.has(this.number.value)) {
        const next = this.tiles.value.find((one) => one.labelled_count < one.cell_count);
        await this.show(next?.number ?? 1);
      } else await this.openTile(this.number.value);
      this.problem.value = null;
    } catch (error) {
      const problem = asProblem(error);
      if (this.sample.value && problem.status !== 404) this.notice.value = { text: titleOf(problem) };
      else this.problem.value = problem;
    }
  }

  private async readSample(): Promise<void> {
    const who = this.annotator.value;
    const [sample, tiles] = await Promise.all([api.sample(this.id, who), api.sampleTiles(this.id, who)]);
    this.sample.value = sample;
    this.listed.value = tiles;
    const tool = this.tool.value;
    const first = sample.label_set.classes[0];
    if (first && tool.kind === "class" && !sample.label_set.classes.some((one) => one.number === tool.number))
      this.tool.value = { kind: "class", number: first.number };
  }

  async nameAnnotator(name: string): Promise<Problem | null> {
    keep(ANNOTATOR, name);
    this.annotator.value = name;
    this.opened.value = new Map();
    await this.load();
    return null;
  }

  async addClass(name: string): Promise<Problem | null> {
    const sample = this.sample.value;
    if (!sample) return null;
    try {
      this.sample.value = { ...sample, label_set: await api.addClass(sample.label_set.id, name) };
      return null;
    } catch (error) {
      return asProblem(error);
    }
  }

  async show(number: number): Promise<void> {
    if (number < 1 || number > this.listed.value.length) return;
    this.number.value = number;
    this.selected.value = null;
    await this.openTile(number);
    // The next one is fetched while this one is labelled.
    const next = number + 1;
    if (next <= this.listed.value.length && !this.opened.value.has(next)) void this.openTile(next, true);
  }

  private async openTile(number: number, ahead = false): Promise<void> {
    try {
      const tile = await api.sampleTile(this.id, number, this.annotator.value);
      if (tile.annotator !== this.annotator.value) return;
      this.opened.value = new Map(this.opened.value).set(number, tile);
      if (!ahead) this.lacking.value = null;
      if (ahead) new Image().src = api.picture(tile);
    } catch (error) {
      // What is fetched ahead is asked for again when it is wanted.
      if (!ahead) this.lacking.value = asProblem(error);
    }
  }

  /** With what is said but not told yet: words that wait, and those that came after the tile was told. */
  private withWords(tile: OpenTile | undefined): OpenTile | null {
    if (!tile) return null;
    const late = this.given.value.filter(
      ({ word, seq }) => word.actor === tile.annotator && (seq === null || seq > tile.seq),
    );
    return {
      ...tile,
      cells: [...late.reduce((cells: Cells, { word }) => cellsAfter(cells, tile.number, word), tile.cells)],
    };
  }

  /** Follows what becomes of words until the returned function is called. */
  follow(): () => void {
    return effect(() => {
      const waiting = new Map(this.outbox.words.value.map((one) => [one.id, one.event]));
      const refused = new Set(this.outbox.refused.value.map(({ word }) => word.id));
      const arrived = this.outbox.newest.value?.event_seq ?? 0;
      const known = this.given.peek();
      const kept = known
        .filter((one) => !refused.has(one.id))
        .map((one) => (one.seq === null && !waiting.has(one.id) ? { ...one, seq: arrived } : one));
      for (const one of known) waiting.delete(one.id);
      this.given.value = [...kept, ...[...waiting].map(([id, word]) => ({ id, word, seq: null }))];
    });
  }

  /** Gives cells what the tool says, or takes it back; at once on the page, and kept until the gateway has it. */
  paint(cells: readonly number[], tool: Tool = this.tool.value): void {
    const [tile, who] = [this.tile.value, this.annotator.value];
    if (!tile || cells.length === 0) return;
    if (tool.kind === "flag") {
      const isFlagged = tile.cells.find((cell) => cell.number === cells[0])?.badly_segmented ?? false;
      void this.say(flagged(who, tile.number, cells, !isFlagged));
    } else void this.say(labelled(who, tile.number, cells, tool.kind === "class" ? tool.number : null));
  }

  private async say(word: SampleWord): Promise<void> {
    this.notice.value = null;
    await this.outbox.say(word, 0);
  }

  /** Takes the annotator's last word back, when all words before it have arrived. */
  async undo(): Promise<void> {
    await this.outbox.still();
    if (this.outbox.words.value.length > 0) {
      this.notice.value = { text: "Undo waits until everything said is sent" };
      return;
    }
    const seq = this.lastWord();
    if (seq === null) {
      this.notice.value = { text: "There is nothing to undo" };
      return;
    }
    const outcome = await this.outbox.say(undone(this.annotator.value, seq), 0);
    const word = this.given.value.find((one) => one.seq === seq)?.word;
    const about = word && word.kind !== "undone" ? word.body.tile : this.number.value;
    this.opened.value = new Map([...this.opened.value].filter(([number]) => number === this.number.value));
    if ("state" in outcome && about !== this.number.value) {
      this.notice.value = { text: `Undone on tile ${about}, which is shown now` };
      await this.show(about);
    } else await this.openTile(this.number.value);
  }

  private lastWord(): number | null {
    const [sample, newest] = [this.sample.value, this.outbox.newest.value];
    const isNewer = newest && newest.annotator === this.annotator.value && newest.seq >= (sample?.seq ?? 0);
    return (isNewer ? newest.can_undo : sample?.can_undo) ?? null;
  }

  /** Something was said, here or elsewhere: as this annotator in another window, perhaps. It is read once it is quiet. */
  hear(): void {
    clearTimeout(this.hearing);
    this.hearing = setTimeout(() => {
      if (this.outbox.words.value.length === 0) void this.load();
    }, QUIET_MS);
  }

  /** Goes to another cell of the tile; `wanted` says which are of interest. */
  select(step: 1 | -1, wanted: "any" | "unlabelled" = "any"): void {
    const order = inReadingOrder(this.places.value);
    if (order.length === 0) return;
    const cells = new Map(this.tile.value?.cells.map((cell) => [cell.number, cell]));
    const from = order.findIndex((one) => one.number === this.selected.value);
    for (let away = 1; away <= order.length; away += 1) {
      const at =
        from < 0 ? (step > 0 ? away - 1 : order.length - away) : (from + step * away + order.length * 2) % order.length;
      const one = order[at];
      if (one && (wanted === "any" || cells.get(one.number)?.class_number == null)) {
        this.selected.value = one.number;
        return;
      }
    }
    this.selected.value = null;
  }

  /** A class for the selected cell, and on to the next that has none; without one it is what a click gives. */
  pick(tool: Tool): void {
    if (tool.kind === "class") this.tool.value = tool;
    const selected = this.selected.value;
    if (selected === null) {
      this.tool.value = tool;
      return;
    }
    this.paint([selected], tool);
    if (tool.kind === "class") this.select(1, "unlabelled");
  }
}
