"""The state of a labelling, as its events leave it, and the form in which events are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from morula.gateway.labels.effective import NOT_SURE

ODD = 0


@dataclass(frozen=True)
class LabelEvent:
    """One thing that a person said."""

    seq: int
    kind: str
    body: Mapping[str, Any]
    actor: str = ""
    time: float = 0.0


@dataclass(frozen=True)
class Word:
    """The last word on a cell: its class's number, ODD, or None for "not sure"."""

    class_number: int | None
    page: int
    """Number of the page it was said on, from 1; 0 for a cell set by itself."""
    page_class: int | None = None
    """What the page was named, or None where it was put off or the cell was set by itself."""
    shown_class: int | None = None
    """The pre-label that the person saw with it."""


@dataclass(frozen=True)
class SeenPage:
    """A page that was named or put off, however often."""

    number: int
    node_id: int
    leaf: int


@dataclass
class Labels:
    """What all events together say."""

    seq: int = 0
    words: dict[int, Word] = field(default_factory=dict)
    seen_rows: set[int] = field(default_factory=set)
    names: dict[int, int] = field(default_factory=dict)
    pages: dict[int, SeenPage] = field(default_factory=dict)
    """Each page so far by its first cell, pages that were put off among them: named again it is the same page."""
    last: LabelEvent | None = None
    """The newest event that still counts: what an undo would take back."""

    @property
    def marks(self) -> dict[int, int]:
        """Class of each cell that a person gave one, NOT_SURE where the person was not sure."""
        numbers = {row: word.class_number for row, word in self.words.items() if word.class_number != ODD}
        return {row: NOT_SURE if number is None else number for row, number in numbers.items()}

    @property
    def odd(self) -> dict[int, int]:
        """The class that each odd cell is not of: the one that its page was named with."""
        return {
            row: word.page_class for row, word in self.words.items() if word.class_number == ODD and word.page_class
        }

    @property
    def mark_count(self) -> int:
        """Cells that a person gave a class."""
        return sum(1 for word in self.words.values() if word.class_number)

    @property
    def overrides(self) -> set[int]:
        """Cells whose class was set by itself and not on a page."""
        return {row for row, word in self.words.items() if word.class_number and word.page == 0}
