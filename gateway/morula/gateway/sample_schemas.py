"""What requests and answers about samples look like. Nothing here tells a cluster, a prediction or a score."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from morula.gateway.fields import Identifier, Level0Px, Name, Request
from morula.gateway.label_schemas import LabelSet
from morula.gateway.schemas import Answer, Listed, Time

Pixel = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
BATCH_LIMIT = 100
SAMPLED_CELL_LIMIT = 100_000
"""So many cells a sample may have; nobody labels more one by one."""


class BatchCell(Request):
    """A cell of a batch's file."""

    model_config = ConfigDict(extra="ignore")
    cell_id: Annotated[int, Field(ge=0, lt=2**31)]
    polygon: Annotated[list[tuple[Pixel, Pixel]], Field(min_length=3, max_length=10_000)]
    uuid: UUID | None = None
    """The cell's own id, where this program wrote the file."""


class BatchTile(Request):
    """A tile of a batch's file."""

    model_config = ConfigDict(extra="ignore")
    slide_id: Annotated[str, Field(max_length=300)]
    tile_name: Annotated[str, Field(max_length=300)]
    magnification: Annotated[float, Field(ge=1 / 64, le=1, allow_inf_nan=False)]
    x: Level0Px
    y: Level0Px
    cells: list[BatchCell]


class BatchFile(Request):
    """`cell_labels.json` as the published system or this program writes it; what was found of cells is passed over."""

    model_config = ConfigDict(extra="ignore")
    format: Literal[1] = 1
    tiles: Annotated[list[BatchTile], Field(min_length=1)]


class NewSample(Request):
    """Of which finished jobs, or of which clusterings' cells, to sample tiles, and how many."""

    job_ids: Annotated[list[Identifier], Field(max_length=1000, default_factory=list)]
    clustering_ids: Annotated[list[Identifier], Field(max_length=1000, default_factory=list)]
    label_set_id: Identifier | None = None
    """The project's first one, where it is left out."""
    name: Name | None = None
    batch_count: Annotated[int, Field(ge=1, le=BATCH_LIMIT)] = 3
    cells_per_batch: Annotated[int, Field(ge=1, le=SAMPLED_CELL_LIMIT)] = 1000
    """All batches together end with the tile that reaches it, and each has a tile at least."""
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 42
    batches: Annotated[list[BatchFile], Field(max_length=BATCH_LIMIT, default_factory=list)]
    """Batches that were sampled elsewhere, to label here: nothing is left to chance then."""

    @model_validator(mode="after")
    def _some_cells(self) -> Self:
        if not self.job_ids and not self.clustering_ids:
            raise ValueError("name job_ids or clustering_ids to sample from")
        if self.batches and self.model_fields_set & {"batch_count", "cells_per_batch", "seed"}:
            raise ValueError("batches leave nothing to choose: leave out batch_count, cells_per_batch and seed")
        if self.batch_count * self.cells_per_batch > SAMPLED_CELL_LIMIT:
            raise ValueError(f"a sample has at most {SAMPLED_CELL_LIMIT} cells: batch_count times cells_per_batch")
        return self


class SampleSlide(Answer):
    """A slide whose tiles are in the sample."""

    slide_id: str
    job_id: str
    name: str
    tile_count: int
    cell_count: int


class SampleLeftOut(Answer):
    """Tiles and cells of a slide that are in no batch: they have no cells, the budget was spent, or a batch that was
    sampled elsewhere has cells that are not found here, or were found in another tile already."""

    slide_id: str
    name: str
    reason: Literal["no_cells", "budget", "not_found"]
    tile_count: int
    cell_count: int


class SampleBatch(Answer):
    """A batch, and how far its annotator is."""

    number: int
    tile_count: int
    cell_count: int
    labelled_count: int
    flagged_count: int


class Annotator(Answer):
    """Somebody who labelled cells of the sample."""

    name: str
    labelled_count: int
    flagged_count: int


class Sample(Answer):
    """Tiles that were sampled for people to label, in batches."""

    id: str
    name: str
    label_set: LabelSet
    seed: int
    batch_count: int
    cells_per_batch: int
    tile_count: int
    cell_count: int
    slides: list[SampleSlide]
    left_out: list[SampleLeftOut]
    seq: int
    annotator: str
    """Whose progress the counts are."""
    batches: list[SampleBatch]
    annotators: list[Annotator]
    can_undo: int | None
    """Number of the annotator's newest event that counts."""
    created_at: Time


class Samples(Listed):
    samples: list[Sample]


class SampleTile(Answer):
    """A tile of a sample, and how far its annotator is."""

    number: int
    batch: int
    slide_id: str
    slide_name: str
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    cell_count: int
    labelled_count: int
    flagged_count: int


class SampleTiles(Listed):
    tiles: list[SampleTile]


class SampleCell(Answer):
    """A cell of a tile: its outline in px of the tile's picture, and what the annotator said."""

    number: int
    outline: list[tuple[float, float]]
    class_number: int | None
    badly_segmented: bool


class TilePicture(Answer):
    """The tile's picture, with so much around the tile on each side."""

    href: str
    width_px: int
    height_px: int
    margin_px: int
    mpp: float


class OpenTile(SampleTile):
    """A tile with its cells."""

    seq: int
    """The labels are those after this event."""
    annotator: str
    picture: TilePicture
    cells: list[SampleCell]


class SampleAppended(Answer):
    """An event that is kept, and what the annotator has said by now."""

    event_seq: int
    seq: int
    annotator: str
    labelled_count: int
    flagged_count: int
    can_undo: int | None


class FileLabel(Request):
    """A label of a file of the published system."""

    model_config = ConfigDict(extra="ignore")
    cell_id: Annotated[int, Field(ge=0, lt=2**31)]
    human_label: Annotated[int, Field(ge=0, le=250)]
    uuid: Identifier | None = None
    """The cell's own id, where this API wrote the file."""


class FileTile(Request):
    """A tile of such a file."""

    model_config = ConfigDict(extra="ignore")
    slide_id: Annotated[str, Field(max_length=300)]
    tile_name: Annotated[str, Field(max_length=300)]
    labelled_cells: list[FileLabel]
    badly_segmented: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(default_factory=list)


class FileClass(Request):
    """What a number of such a file means."""

    model_config = ConfigDict(extra="ignore")
    number: Annotated[int, Field(ge=0, le=250)]
    name: Name


class HumanLabels(Request):
    """`human_labels_*.json` as the published system or this API writes it; other fields are passed over."""

    model_config = ConfigDict(extra="ignore")
    format: Literal[1] = 1
    batch: Name = "labels"
    tiles: list[FileTile]
    classes: list[FileClass] = Field(default_factory=list)

    @model_validator(mode="after")
    def _numbered_once(self) -> Self:
        if len({one.number for one in self.classes}) < len(self.classes):
            raise ValueError("two classes have one number")
        return self


class SampleEvent(Answer):
    seq: int
    event_id: str | None
    actor: str
    time: Time
    kind: str
    body: dict[str, Any]


class SampleEvents(Listed):
    events: list[SampleEvent]
