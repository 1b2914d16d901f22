"""The state of a labelling as a fold over its events. Only events are stored; replaying them gives the same state."""

from collections.abc import Iterable, Sequence

from morula.common.errors import InvalidArgument, Stale
from morula.gateway.labels.kinds import RULES
from morula.gateway.labels.state import LabelEvent, Labels, Word


def fold(events: Iterable[LabelEvent]) -> Labels:
    """State after these events, which come in the order of their numbers."""
    log = list(events)
    labels = Labels(seq=log[-1].seq if log else 0)
    for event in counting(log):
        RULES[event.kind].apply(labels, event.body)
        labels.last = event
    return labels


def counting(log: Sequence[LabelEvent]) -> list[LabelEvent]:
    """Events that count: neither undone nor themselves an undo."""
    undone = {event.body["seq"] for event in log if event.kind == "undone"}
    return [event for event in log if event.kind != "undone" and event.seq not in undone]


def rows_of(event: LabelEvent) -> list[int]:
    """Rows of the cells that an event names one by one."""
    return RULES[event.kind].rows(event.body) if event.kind in RULES else []


def check_unchanged(log: Sequence[LabelEvent], page_seq: int, rows: Sequence[int]) -> None:
    """Raise Stale if a cell of the page has another label than when the page was seen.

    Events that were undone meanwhile, or that are about other cells, do not matter.
    """
    # Usually no cell of the page was named since, and the events before need not be read.
    touched = _touched_since(log, page_seq).intersection(rows)
    about = (
        [event for event in log if event.kind == "undone" or touched.intersection(rows_of(event))] if touched else []
    )
    then = fold(event for event in about if event.seq <= page_seq).words
    now = fold(about).words
    changed = [row for row in rows if row in touched and _naming(then.get(row)) != _naming(now.get(row))]
    if changed:
        raise Stale(
            "Cells of this page were named since you looked.",
            rows=",".join(map(str, changed)),
            seq=str(log[-1].seq),
            page_seq=str(page_seq),
        )


def _touched_since(log: Sequence[LabelEvent], seq: int) -> set[int]:
    """Rows that were named after this event, or whose naming was undone after it."""
    since = [event for event in log if event.seq > seq]
    undone = {event.body["seq"] for event in since if event.kind == "undone"}
    events = [*since, *(event for event in log if event.seq in undone)]
    return {row for event in events for row in rows_of(event)}


def _naming(word: Word | None) -> tuple[int | None, int | None] | None:
    return None if word is None else (word.class_number, word.page_class)


def check_undo(log: Sequence[LabelEvent], seq: int) -> None:
    """Raise unless the event exists, still counts, and is no undo itself."""
    undone = {event.body["seq"] for event in log if event.kind == "undone"}
    target = next((event for event in log if event.seq == seq), None)
    if target is None or target.kind == "undone":
        raise InvalidArgument(f"Event {seq} cannot be undone.", seq=str(seq))
    if seq in undone:
        raise InvalidArgument(f"Event {seq} is undone already.", seq=str(seq))
