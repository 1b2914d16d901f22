// One slide, and if it is labelled: the classes of its cells, counted and coloured, corrected one by one.
import { computed, signal } from "@preact/signals";
import { api, asProblem, ProblemError, titleOf } from "../api";
import type { LabelOutbox } from "../label_outbox";
import { classOfNode, effectiveClasses, effectiveLabel, type LabelInputs, type Source } from "../labels";
import { outboxOf } from "../outboxes";
import type { Clustering, ClusteringSlide, Klass, LabelEvent, Labelling, Problem, Slide } from "../types";
import type { Note } from "../ui/notes";
import { type Colouring, paletteOf } from "./palette";

export class SlideScene {
  readonly slide = signal<Slide | null>(null);
  readonly clustering = signal<Clustering | null>(null);
  readonly labelling = signal<Labelling | null>(null);
  readonly problem = signal<Problem | null>(null);
  readonly notice = signal<Note | null>(null);
  readonly hidden = signal<ReadonlySet<number>>(new Set());
  readonly byConfidence = signal(false);
  readonly selected = signal<number | null>(null);
  private readonly leaf = signal<Uint16Array>(new Uint16Array());
  private readonly nodeOfLeaf = signal<readonly number[]>([]);
  private readonly classLayer = signal<Uint8Array>(new Uint8Array());
  private readonly confidenceLayer = signal<Uint8Array | null>(null);

  readonly part = computed<ClusteringSlide | null>(
    () => this.clustering.value?.slides.find((one) => one.slide_id === this.slide.value?.id) ?? null,
  );
  readonly klasses = computed<readonly Klass[]>(() => this.labelling.value?.label_set.classes ?? []);
  private readonly labelInputs = computed<LabelInputs | null>(() => this.inputsOfLabels());
  private readonly classes = computed(() => {
    const [inputs, part] = [this.labelInputs.value, this.part.value];
    return inputs && part ? effectiveClasses(part.row_stop, inputs) : new Uint8Array();
  });
  readonly counts = computed(() => {
    const counts = new Uint32Array(256);
    for (const number of this.classes.value) counts[number] = (counts[number] ?? 0) + 1;
    return counts;
  });
  readonly colouring = computed<Colouring>(() => ({
    palette: paletteOf(this.klasses.value, this.hidden.value),
    classes: this.classes.value,
    confidence: this.byConfidence.value ? this.confidenceLayer.value : null,
    row_start: this.part.value?.row_start ?? 0,
  }));

  private readonly outbox: LabelOutbox | null;

  constructor(
    readonly labellingId: string | null,
    private readonly slideId: string | null,
  ) {
    this.outbox = labellingId === null ? null : outboxOf(labellingId);
  }

  async load(): Promise<void> {
    this.problem.value = null;
    try {
      if (this.labellingId === null) this.slide.value = await api.slide(this.slideId ?? "");
      else await this.loadLabelled(this.labellingId);
    } catch (error) {
      this.problem.value = asProblem(error);
    }
  }

  private async loadLabelled(id: string): Promise<void> {
    const labelling = await api.labelling(id);
    const clustering = await api.clustering(labelling.clustering_id);
    const part = clustering.slides.find((one) => one.slide_id === this.slideId) ?? clustering.slides[0];
    if (!part) throw new ProblemError({ title: "This clustering holds no slide", status: 404 });
    this.clustering.value = clustering;
    const [slide, leaf] = await Promise.all([
      api.slide(part.slide_id),
      api.leaves(clustering.id, part.row_start, part.row_stop),
    ]);
    this.leaf.value = leaf;
    await this.take(labelling, part);
    this.slide.value = slide;
  }

  /** Layers are fetched anew only where the labelling has a new version of them. */
  private async take(labelling: Labelling, part: ClusteringSlide): Promise<void> {
    const before = this.labelling.value;
    const { row_start, row_stop } = part;
    const layersChanged = labelling.version !== before?.version && labelling.version > 0;
    const [classes, confidence, cut] = await Promise.all([
      layersChanged ? api.layer(labelling.id, labelling.version, "class", row_start, row_stop) : this.classLayer.value,
      layersChanged && this.byConfidence.value
        ? api.layer(labelling.id, labelling.version, "confidence", row_start, row_stop)
        : layersChanged
          ? null
          : this.confidenceLayer.value,
      labelling.cluster_count === before?.cluster_count
        ? { node_of_leaf: this.nodeOfLeaf.value }
        : api.cut(labelling.id),
    ]);
    this.classLayer.value = labelling.version > 0 ? classes : new Uint8Array();
    this.confidenceLayer.value = confidence;
    this.nodeOfLeaf.value = [...cut.node_of_leaf];
    this.labelling.value = labelling;
  }

  private inputsOfLabels(): LabelInputs | null {
    const [labelling, part] = [this.labelling.value, this.part.value];
    if (!labelling || !part) return null;
    return {
      spread: labelling.spread,
      marks: this.withUnsent(new Map(labelling.marks)),
      odd: new Map(labelling.odd),
      class_layer: this.classLayer.value,
      leaf: this.leaf.value,
      node_of_leaf: this.nodeOfLeaf.value,
      class_of_node: classOfNode(labelling.cluster_names),
      row_start: part.row_start,
    };
  }

  private withUnsent(marks: Map<number, number>): Map<number, number> {
    for (const { event } of this.outbox?.words.value ?? []) {
      if (event.kind !== "cell_set") continue;
      if (event.body.class_number === null) marks.delete(event.body.row);
      else marks.set(event.body.row, event.body.class_number);
    }
    return marks;
  }

  labelOf(row: number): [Klass | null, Source] {
    const inputs = this.labelInputs.value;
    if (!inputs) return [null, "none"];
    const [number, source] = effectiveLabel(row, inputs);
    return [this.klasses.value.find((one) => one.number === number) ?? null, source];
  }

  toggle(class_number: number): void {
    const hidden = new Set(this.hidden.value);
    if (!hidden.delete(class_number)) hidden.add(class_number);
    this.hidden.value = hidden;
  }

  async showConfidence(on: boolean): Promise<void> {
    this.byConfidence.value = on;
    const [labelling, part] = [this.labelling.value, this.part.value];
    if (!on || this.confidenceLayer.value || !labelling || !part || labelling.version === 0) return;
    this.confidenceLayer.value = await api.layer(
      labelling.id,
      labelling.version,
      "confidence",
      part.row_start,
      part.row_stop,
    );
  }

  /** What is known of the labelling, also before its layers are here. */
  private get newest(): Labelling | null {
    const [shown, arrived] = [this.labelling.value, this.outbox?.newest.value ?? null];
    return arrived && arrived.seq >= (shown?.seq ?? 0) ? arrived : shown;
  }

  /** Shown at once and kept until the gateway has it; several in a row need not wait for each other. */
  async setClass(class_number: number | null): Promise<void> {
    const row = this.selected.value;
    // What others said counts as known once it is shown.
    if (row !== null) await this.say({ kind: "cell_set", body: { row, class_number } }, this.labelling.value?.seq ?? 0);
  }

  /** Takes the last word back, when all words before it have arrived. */
  async undo(): Promise<void> {
    await this.outbox?.still();
    const labelling = this.newest;
    if (this.outbox?.words.value.length) this.notice.value = { text: "Undo waits until everything said is sent" };
    else if (labelling?.last_event && labelling.can_undo)
      await this.say({ kind: "undone", body: { seq: labelling.last_event.seq } }, labelling.seq);
  }

  /** Another window said something, or the labeller caught up. */
  async hear(): Promise<void> {
    const before = this.labelling.value;
    if (!before) return;
    try {
      await this.follow(await api.labelling(before.id));
    } catch (error) {
      this.notice.value = { text: titleOf(asProblem(error)) };
    }
  }

  private async follow(labelling: Labelling): Promise<void> {
    const part = this.part.value;
    if (part && labelling.seq >= (this.labelling.value?.seq ?? 0)) await this.take(labelling, part);
  }

  private async say(event: LabelEvent, expected_seq: number): Promise<void> {
    this.notice.value = null;
    const outcome = await this.outbox?.say(event, expected_seq);
    if (!outcome) return;
    if ("state" in outcome) return await this.follow(outcome.state);
    await this.hear();
    this.outbox?.dismiss([outcome]);
    this.notice.value = {
      text:
        outcome.problem.status === 412
          ? "Labelled elsewhere meanwhile: loaded again, nothing was overwritten"
          : (outcome.problem.detail ?? outcome.problem.title),
    };
  }
}
