"""The state of a sample as a fold over its events. Only events are stored; replaying them gives the same state."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from morula.common.errors import InvalidArgument
from morula.gateway.labels.fold import check_undo, counting
from morula.gateway.labels.state import LabelEvent
from morula.gateway.samples.kinds import RULES
from morula.gateway.samples.state import Words


@dataclass(frozen=True)
class Folded:
    """Events in the order of their numbers, and the state after them. Nothing in it changes any more."""

    log: Sequence[LabelEvent] = ()
    words: Words = field(default_factory=Words)


def fold(log: Sequence[LabelEvent]) -> Words:
    """State after these events, which come in the order of their numbers."""
    return fold_on(Folded(), log).words


def fold_on(before: Folded, more: Sequence[LabelEvent]) -> Folded:
    """State after more events; what went before is read again only where some of it was undone."""
    if not more:
        return before
    log = [*before.log, *more]
    again = any(event.kind == "undone" for event in more)
    said = {} if again else {name: one.copy() for name, one in before.words.by.items()}
    words = Words(seq=log[-1].seq, by=said)
    for event in counting(log) if again else more:
        mine = words.said_by(event.actor)
        RULES[event.kind].apply(mine, event.body)
        mine.last = event
    return Folded(log, words)


def check_own_undo(log: Sequence[LabelEvent], seq: int, actor: str) -> None:
    """Raise unless the event exists, still counts, is no undo itself, and is this annotator's."""
    check_undo(log, seq)
    if any(event.seq == seq and event.actor != actor for event in log):
        raise InvalidArgument(f"Event {seq} is another annotator's.", seq=str(seq))
