"""What a labelling says, as a fold over its events. Nothing is stored but events; replaying them gives the same.

Kinds of events and their bodies:
    page_named     place {node_id, leaf}, cells [{row, class_number, shown_class_number}], class_number, version,
                   page_seq. A cell's class is its class's number, 0 for odd (seen, none of the page's) or null for not
                   sure; a page's class is null where the person put the page off; page_seq is the last event that the
                   person knew of these cells.
    cell_set       row, class_number: the person overrides one cell; null takes back what was said about it.
    cluster_named  node_id, class_number: names a whole cluster; null takes the name back.
    undone         seq: the event of this number counts no more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from morula.common.errors import InvalidArgument, Stale
from morula.gateway.labels.effective import NOT_SURE

KINDS = ("page_named", "cell_set", "cluster_named", "undone")
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
    """Page it was said on, from 1; 0 for a cell set by itself."""
    page_class: int | None = None
    """What the page was named, or None where it was put off or the cell was set by itself."""
    shown_class: int | None = None
    """The pre-label that the person saw with it."""


@dataclass
class Labels:
    """What all events together say."""

    seq: int = 0
    words: dict[int, Word] = field(default_factory=dict)
    seen_rows: set[int] = field(default_factory=set)
    names: dict[int, int] = field(default_factory=dict)
    places: list[tuple[int, int]] = field(default_factory=list)
    """Node and leaf of each page so far, pages that were put off among them."""
    named_page_count: int = 0
    last: LabelEvent | None = None
    """The newest event that still counts: what an undo would take back."""

    @property
    def marks(self) -> dict[int, int]:
        """Class of each cell that a person gave one, NOT_SURE where the person was not sure."""
        said = {row: word.class_number for row, word in self.words.items() if word.class_number != ODD}
        return {row: NOT_SURE if number is None else number for row, number in said.items()}

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


def fold(events: Iterable[LabelEvent]) -> Labels:
    """State after these events, which come in the order of their numbers."""
    log = list(events)
    labels = Labels(seq=log[-1].seq if log else 0)
    for event in counting(log):
        _APPLY[event.kind](labels, event.body)
        labels.last = event
    return labels


def counting(log: Sequence[LabelEvent]) -> list[LabelEvent]:
    """Events that say something still: neither undone nor an undo."""
    undone = {event.body["seq"] for event in log if event.kind == "undone"}
    return [event for event in log if event.kind != "undone" and event.seq not in undone]


def _page_named(labels: Labels, body: Mapping[str, Any]) -> None:
    place = body["place"]
    labels.places.append((place["node_id"], place["leaf"]))
    labels.named_page_count += body["class_number"] is not None
    for cell in body["cells"]:
        labels.seen_rows.add(cell["row"])
        number, shown = cell["class_number"], cell["shown_class_number"]
        labels.words[cell["row"]] = Word(number, len(labels.places), body["class_number"], shown)


def _cell_set(labels: Labels, body: Mapping[str, Any]) -> None:
    if body["class_number"] is None:
        labels.words.pop(body["row"], None)
        return
    labels.seen_rows.add(body["row"])
    labels.words[body["row"]] = Word(body["class_number"], page=0)


def _cluster_named(labels: Labels, body: Mapping[str, Any]) -> None:
    if body["class_number"] is None:
        labels.names.pop(body["node_id"], None)
    else:
        labels.names[body["node_id"]] = body["class_number"]


_APPLY = {"page_named": _page_named, "cell_set": _cell_set, "cluster_named": _cluster_named}


def rows_of(event: LabelEvent) -> list[int]:
    """Cells that an event speaks of by themselves."""
    if event.kind == "page_named":
        return [cell["row"] for cell in event.body["cells"]]
    return [event.body["row"]] if event.kind == "cell_set" else []


def check_unchanged(log: Sequence[LabelEvent], page_seq: int, rows: Sequence[int]) -> None:
    """A word is bound to the page that was seen: Stale where one of its cells is called something else since then.

    What was said and taken back meanwhile, and whatever was said of other cells, is in nobody's way.
    """
    # Nearly always nothing was said of them, and that is seen without looking at what was said before.
    touched = _touched_since(log, page_seq).intersection(rows)
    about = (
        [event for event in log if event.kind == "undone" or touched.intersection(rows_of(event))] if touched else []
    )
    then = fold(event for event in about if event.seq <= page_seq).words
    now = fold(about).words
    changed = [row for row in rows if row in touched and _said(then.get(row)) != _said(now.get(row))]
    if changed:
        raise Stale(
            "Cells of this page were named since you looked.",
            rows=",".join(map(str, changed)),
            seq=str(log[-1].seq),
            page_seq=str(page_seq),
        )


def _touched_since(log: Sequence[LabelEvent], seq: int) -> set[int]:
    """Cells that were spoken of after this event, or of which a word was taken back then."""
    since = [event for event in log if event.seq > seq]
    undone = {event.body["seq"] for event in since if event.kind == "undone"}
    said = [*since, *(event for event in log if event.seq in undone)]
    return {row for event in said for row in rows_of(event)}


def _said(word: Word | None) -> tuple[int | None, int | None] | None:
    return None if word is None else (word.class_number, word.page_class)


def check_undo(log: Sequence[LabelEvent], seq: int) -> None:
    """Only an event that is there, counts, and is no undo itself can be taken back."""
    undone = {event.body["seq"] for event in log if event.kind == "undone"}
    target = next((event for event in log if event.seq == seq), None)
    if target is None or target.kind == "undone":
        raise InvalidArgument(f"Event {seq} is nothing that can be undone.", seq=str(seq))
    if seq in undone:
        raise InvalidArgument(f"Event {seq} is undone already.", seq=str(seq))
