"""The state of a sample as a fold over its events. Only events are stored; replaying them gives the same state."""

from collections.abc import Sequence

from morula.common.errors import InvalidArgument
from morula.gateway.labels.fold import check_undo, counting
from morula.gateway.labels.state import LabelEvent
from morula.gateway.samples.kinds import RULES
from morula.gateway.samples.state import Said, Words


def fold(log: Sequence[LabelEvent]) -> Words:
    """State after these events, which come in the order of their numbers."""
    words = Words(seq=log[-1].seq if log else 0)
    for event in counting(log):
        said = words.by.setdefault(event.actor, Said())
        RULES[event.kind].apply(said, event.body)
        said.last = event
    return words


def check_own_undo(log: Sequence[LabelEvent], seq: int, actor: str) -> None:
    """Raise unless the event exists, still counts, is no undo itself, and is this annotator's."""
    check_undo(log, seq)
    if any(event.seq == seq and event.actor != actor for event in log):
        raise InvalidArgument(f"Event {seq} is another annotator's.", seq=str(seq))
