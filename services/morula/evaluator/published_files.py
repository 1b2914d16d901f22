"""Files of the published system: what stages leave of a slide, `cell_labels.json` of a batch, `human_labels_*.json`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Annotated, TypeVar

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, field_validator

from morula.common.errors import InvalidArgument
from morula.evaluator.truth_table import FLAG, Assigned, TruthTable

NOISE = -1
FORMAT = 1
"""Of such files as they are now; those that the published system wrote do not say it."""
ENDING = ".png"
"""Of a tile's name, with which one of the files may have it and the other not."""
ClusterId = Annotated[int, Field(ge=NOISE, lt=2**31)]
Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
CellNumber = Annotated[int, Field(ge=0, lt=2**31)]
Pixel = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
"""Of a tile."""
Level0Px = Annotated[int, Field(ge=-(10**8), le=10**8)]


class Cell(BaseModel):
    cell_id: int
    label_id: int | None = None
    cluster_id: ClusterId | None = None
    cluster_confidence: float | None = None
    uuid: str | None = None
    """Its own id, where Morula wrote the file."""


class Tile(BaseModel):
    slide_id: str
    tile_name: str
    cells: list[Cell]


class CellLabels(BaseModel):
    """What the system found of a batch; there is more in the file, which evaluation has no use for."""

    tiles: list[Tile]
    format: int = FORMAT


class Boxed(BaseModel):
    """A cell of `*_bboxes.json`: its label in the tile's mask, and the box with its last pixels."""

    label_id: CellNumber
    bbox: tuple[int, int, int, int]


class Boxes(RootModel[list[Boxed]]):
    """A `*_bboxes.json`."""


class Clustered(Boxed):
    bbox_file: str
    cluster_id: ClusterId
    confidence: Confidence


class Assignments(RootModel[list[Clustered]]):
    """A `cluster_assignments.json`."""


class Classified(BaseModel):
    label_id: CellNumber
    pred_class: str | None = None
    cluster_id: ClusterId | None = None
    cluster_confidence: Confidence | None = None


class ClassifiedTile(BaseModel):
    tile_name: str
    classified_cells: list[Classified]


class Classification(RootModel[list[ClassifiedTile]]):
    """A `classification_results.json`."""


class HumanLabel(BaseModel):
    cell_id: int
    human_label: int
    uuid: str | None = None
    """The cell's own id, where Morula wrote the file."""


class LabelledTile(BaseModel):
    slide_id: str
    tile_name: str
    labelled_cells: list[HumanLabel]
    badly_segmented: list[int] | None = None
    """Numbers of cells that are flagged, where Morula wrote the file."""


class NamedClass(BaseModel):
    number: int
    name: str


class HumanLabels(BaseModel):
    """What a person said of a batch; who it was and what classes are called stands where Morula wrote the file."""

    tiles: list[LabelledTile]
    format: int = FORMAT
    batch: str | None = None
    annotator: str | None = None
    classes: list[NamedClass] = []

    @field_validator("classes")
    @classmethod
    def _numbered_once(cls, classes: list[NamedClass]) -> list[NamedClass]:
        if len({one.number for one in classes}) < len(classes):
            raise ValueError("two classes have one number")
        return classes

    def names(self) -> dict[int, str]:
        """What the classes of its labels are called, by number. A blank is no class, as in a table."""
        names = {one.number: one.name.strip() for one in self.classes}
        said = {cell.human_label for tile in self.tiles for cell in tile.labelled_cells}
        return {number: names.get(number, str(number)) for number in said if names.get(number, str(number))}

    def left_out(self) -> int:
        """How many labels are of a class with a blank name."""
        named = self.names()
        return sum(cell.human_label not in named for tile in self.tiles for cell in tile.labelled_cells)


@dataclass(frozen=True)
class Batch:
    """A batch and what a person said of it."""

    name: str
    found: CellLabels
    said: HumanLabels


class AnnotatedCell(BaseModel):
    """A cell of a slide's file; what this program has no use for is kept as it is."""

    model_config = ConfigDict(extra="allow")
    cell_id: CellNumber
    label_id: CellNumber | None = None
    polygon: list[tuple[Pixel, Pixel]] = []
    bbox: tuple[int, int, int, int] | None = None
    pred_class: str | None = None
    cluster_id: ClusterId | None = None
    cluster_confidence: Confidence | None = None


class AnnotatedTile(BaseModel):
    """A tile of a slide's file."""

    tile_path: str
    magnification: float
    x: int
    y: int
    cells: list[AnnotatedCell]

    @property
    def name(self) -> str:
        """Its file's name without ending and folders, which are those of another machine."""
        return PureWindowsPath(self.tile_path).name.removesuffix(ENDING)


class Annotations(RootModel[list[AnnotatedTile]]):
    """What the system found of a slide (`*_annotations.json`)."""


Model = TypeVar("Model", bound=BaseModel)


def parse(kind: type[Model], data: bytes, name: str) -> Model:
    """A file of this kind; InvalidArgument says in a line what is wrong with it."""
    try:
        found = kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidArgument(
            f"{name} is not as the published system writes it: {place or 'it'}: {first['msg']}"
        ) from error
    version = getattr(found, "format", FORMAT)
    if version != FORMAT:
        raise InvalidArgument(f"{name} is of format {version}, and this program reads format {FORMAT}")
    return found


def truth(said: HumanLabels) -> TruthTable:
    """Labels as a truth of cells by their own ids, which only files of Morula have."""
    names = said.names()
    rows = [(tile, cell) for tile in said.tiles for cell in tile.labelled_cells if cell.human_label in names]
    if any(cell.uuid is None for _, cell in rows):
        raise InvalidArgument(
            "these labels name cells by numbers within tiles: send cell_labels.json of their batch with them, or bring "
            "them into the sample that has these tiles and make a truth of that"
        )
    parts = {
        "tile": [tile.tile_name.removesuffix(ENDING) for tile, _ in rows],
        "batch": None if said.batch is None else [said.batch] * len(rows),
        "annotator": None if said.annotator is None else [said.annotator] * len(rows),
        FLAG: [_flag(tile, cell) for tile, cell in rows] if _has_flags([said]) else None,
    }
    return TruthTable(
        ids={"cell_id": pa.array([cell.uuid for _, cell in rows], pa.string())},
        classes=pa.array([names[cell.human_label] for _, cell in rows], pa.string()),
        parts={name: pa.array(words, pa.string()) for name, words in parts.items() if words is not None},
    )


def truth_of(batches: Iterable[Batch]) -> TruthTable:
    """What people said of batches that Morula wrote, as a truth of cells by their own ids."""
    rows: list[tuple[str, ...]] = []
    batches = list(batches)
    for batch in batches:
        uuids = {_id(batch.name, tile, cell.cell_id): cell.uuid for tile in batch.found.tiles for cell in tile.cells}
        names = batch.said.names()
        for named, number, *where in _said(batch):
            if int(number) not in names:
                continue
            uuid = uuids.get(named)
            if uuid is None:
                raise InvalidArgument(
                    f"cell {named} has no id of its own in cell_labels.json: evaluate the clusters that stand there"
                )
            rows.append((uuid, names[int(number)], *where))
    return _table(rows, batches)


def tables(batches: Iterable[Batch]) -> tuple[TruthTable, Assigned, list[str]]:
    """Both sides as tables, cells by batch, slide, tile and number, and what has to be known of them. A cell without a
    cluster is not assigned; of one that is there twice the last counts, as published; what a person said twice stands
    twice."""
    found: dict[str, Cell] = {}
    said: list[tuple[str, ...]] = []
    batches = list(batches)
    for batch in batches:
        found |= dict(_assigned(batch))
        said += _said(batch)
    confidence = [cell.cluster_confidence for cell in found.values()]
    unsure = confidence.count(None)
    remarks = [f"{unsure:,} of {len(found):,} cells have no confidence: that of the others is not looked at"]
    assigned = Assigned(
        ids={"cell_id": pa.array(list(found), pa.string())},
        cluster=np.asarray([cell.cluster_id for cell in found.values()], np.int64),
        confidence=None if None in confidence else np.asarray(confidence, np.float64),
        noise=NOISE,
    )
    return _table(said, batches), assigned, remarks if 0 < unsure < len(found) else []


def _table(rows: Sequence[tuple[str, ...]], batches: Sequence[Batch]) -> TruthTable:
    """Rows of id, class, batch, slide, tile and flag as a truth."""
    columns = [pa.array(column, pa.string()) for column in (zip(*rows, strict=True) if rows else [()] * 6)]
    ids, classes, names, slides, tiles, flags = columns
    parts = {"batch": names, "slide": slides, "tile": tiles}
    if _has_flags(batch.said for batch in batches):
        parts[FLAG] = flags
    return TruthTable({"cell_id": ids}, classes, parts)


def _has_flags(said: Iterable[HumanLabels]) -> bool:
    """Whether any of these say of a cell that it is badly segmented, or could have."""
    return any(tile.badly_segmented is not None for one in said for tile in one.tiles)


def _flag(tile: LabelledTile, cell: HumanLabel) -> str:
    return str(cell.cell_id in (tile.badly_segmented or ())).lower()


def _assigned(batch: Batch) -> Iterator[tuple[str, Cell]]:
    for tile in batch.found.tiles:
        for cell in tile.cells:
            if cell.cluster_id is not None:
                yield _id(batch.name, tile, cell.cell_id), cell


def _said(batch: Batch) -> Iterator[tuple[str, ...]]:
    """Id, class, batch, slide, tile and flag of each answer."""
    for tile in batch.said.tiles:
        for one in tile.labelled_cells:
            name = tile.tile_name.removesuffix(ENDING)
            where = (batch.name, tile.slide_id, name)
            yield _id(batch.name, tile, one.cell_id), str(one.human_label), *where, _flag(tile, one)


def _id(batch: str, tile: Tile | LabelledTile, cell_id: int) -> str:
    return f"{batch}/{tile.slide_id}/{tile.tile_name.removesuffix(ENDING)}/{cell_id}"
