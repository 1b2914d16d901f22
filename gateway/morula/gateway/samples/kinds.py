"""The kinds of events of a sample, one class each: the shape of its body and what it changes.

Bodies stay in the ledger for good, so the rules read bodies of all earlier versions.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel

from morula.gateway.fields import ClassNumber, Identifier, Name, Request
from morula.gateway.labels.kinds import Kind, UndoneBody
from morula.gateway.samples.state import Place, Said

CELL_LIMIT = 10_000
"""So many cells one event may name."""
Body = Mapping[str, Any]
TileNumber = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
CellNumber = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
CellNumbers = Annotated[list[CellNumber], Field(min_length=1, max_length=CELL_LIMIT)]


class SampleKind(Kind):
    """An event as it comes in. One that is sent again under its `event_id` is the same event."""

    event_id: Identifier | None = None


class Statement(ABC):
    """A rule for events that say something of cells."""

    @staticmethod
    @abstractmethod
    def apply(said: Said, body: Body) -> None:
        """Apply the event to what its annotator said; `body` is as it was stored."""

    @staticmethod
    @abstractmethod
    def places(body: Body) -> Iterator[Place]:
        """The cells that the event is about."""


class CellsLabelledBody(Request):
    tile: TileNumber
    cells: CellNumbers
    class_number: ClassNumber | None
    """Null takes back what was said."""


class CellsLabelled(SampleKind, Statement):
    """Cells of a tile get a class, whatever was said of them before."""

    kind: Literal["cells_labelled"]
    body: CellsLabelledBody

    @staticmethod
    def apply(said: Said, body: Body) -> None:
        for place in CellsLabelled.places(body):
            said.label(place, body["class_number"])

    @staticmethod
    def places(body: Body) -> Iterator[Place]:
        return ((body["tile"], cell) for cell in body["cells"])


class CellsFlaggedBody(Request):
    tile: TileNumber
    cells: CellNumbers
    badly_segmented: bool


class CellsFlagged(SampleKind, Statement):
    """Cells of a tile are badly segmented, or are not after all."""

    kind: Literal["cells_flagged"]
    body: CellsFlaggedBody

    @staticmethod
    def apply(said: Said, body: Body) -> None:
        change = said.flagged.add if body["badly_segmented"] else said.flagged.discard
        for place in CellsFlagged.places(body):
            change(place)

    @staticmethod
    def places(body: Body) -> Iterator[Place]:
        return ((body["tile"], cell) for cell in body["cells"])


class ImportedLabel(Request):
    tile: TileNumber
    cell: CellNumber
    class_number: ClassNumber | None
    badly_segmented: bool | None = None
    """Null leaves it as it was."""


class LabelsImportedBody(Request):
    name: Name
    """Of the file."""
    labels: Annotated[list[ImportedLabel], Field(min_length=1)]


class LabelsImported(SampleKind, Statement):
    """Labels of a file, which all come in at once and go with one undo."""

    kind: Literal["labels_imported"]
    body: LabelsImportedBody

    @staticmethod
    def apply(said: Said, body: Body) -> None:
        for one in body["labels"]:
            place = (one["tile"], one["cell"])
            said.label(place, one["class_number"])
            if one["badly_segmented"] is not None:
                (said.flagged.add if one["badly_segmented"] else said.flagged.discard)(place)

    @staticmethod
    def places(body: Body) -> Iterator[Place]:
        return ((one["tile"], one["cell"]) for one in body["labels"])


class SampleUndone(SampleKind):
    """The event of this number, which is of the same annotator, counts no more."""

    kind: Literal["undone"]
    body: UndoneBody


SentKind = CellsLabelled | CellsFlagged | SampleUndone
"""What annotators send; labels of files come in on their own way."""
RULES: dict[str, type[Statement]] = {
    "cells_labelled": CellsLabelled,
    "cells_flagged": CellsFlagged,
    "labels_imported": LabelsImported,
}


class NewSampleEvent(RootModel[Annotated[SentKind, Field(discriminator="kind")]]):
    """Something that an annotator says."""
