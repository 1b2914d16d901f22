"""The state of a labelling, as its events leave it, and the form in which events are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from morula.gateway.labels.effective import NOT_SURE

ODD = 0


@dataclass(frozen=True)
class LabelEvent:
    """One event of a labelling, as it is stored."""

    seq: int
    kind: str
    body: Mapping[str, Any]
    actor: str = ""
    time: float = 0.0


@dataclass(frozen=True)
class Word:
    """The latest naming of a cell: its class's number, ODD, or None for "not sure"."""

    class_number: int | None
    page: int
    """Number of its page, from 1; 0 for a cell set by itself."""
    page_class: int | None = None
    """Class of its page; None if the page was put off or the cell was set by itself."""
    shown_class: int | None = None
    """The pre-label that the person saw with it."""


@dataclass(frozen=True)
class SeenPage:
    """A page that was named or put off, once or more often."""

    number: int
    node_id: int
    leaf: int


@dataclass
class Labels:
    """The state after all events."""

    seq: int = 0
    words: dict[int, Word] = field(default_factory=dict)
    seen_rows: set[int] = field(default_factory=set)
    names: dict[int, int] = field(default_factory=dict)
    pages: dict[int, SeenPage] = field(default_factory=dict)
    """Each page by its first cell, also pages that were put off: a page that is named again is the same page."""
    last: LabelEvent | None = None
    """The newest event that counts: the one that an undo would take back."""

    @property
    def marks(self) -> dict[int, int]:
        """Class of each cell that a person named; NOT_SURE if the person was not sure."""
        numbers = {row: word.class_number for row, word in self.words.items() if word.class_number != ODD}
        return {row: NOT_SURE if number is None else number for row, number in numbers.items()}

    @property
    def odd(self) -> dict[int, int]:
        """For each odd cell, the class of its page, of which it is not."""
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
