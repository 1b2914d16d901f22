"""What was said of a sample's cells, each annotator's words apart."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from morula.gateway.labels.state import LabelEvent

Place = tuple[int, int]
"""A tile's number in the sample, and a cell's number in the tile."""


@dataclass
class Said:
    """What one annotator said."""

    classes: dict[Place, int] = field(default_factory=dict)
    flagged: set[Place] = field(default_factory=set)
    """Cells that are badly segmented."""
    last: LabelEvent | None = None
    """The newest event that counts: the one that an undo would take back."""

    def copy(self) -> "Said":
        """The same, which may change without changing this."""
        return Said(dict(self.classes), set(self.flagged), self.last)

    def label(self, place: Place, class_number: int | None) -> None:
        """Give a cell a class, or take back the one that it has."""
        if class_number is None:
            self.classes.pop(place, None)
        else:
            self.classes[place] = class_number


@dataclass
class Words:
    """The state after all events."""

    seq: int = 0
    by: dict[str, Said] = field(default_factory=dict)
    """By annotator."""

    def said_by(self, annotator: str) -> Said:
        """What this annotator said, to add to."""
        return self.by.setdefault(annotator, Said())

    def of(self, annotator: str) -> Said:
        """What this annotator said; nothing where nobody of this name said anything."""
        return self.by.get(annotator) or Said()


def counts(places: Iterable[Place]) -> dict[int, int]:
    """How many cells of each tile are among these."""
    found: dict[int, int] = {}
    for tile, _ in places:
        found[tile] = found.get(tile, 0) + 1
    return found
