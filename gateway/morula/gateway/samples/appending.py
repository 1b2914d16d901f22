"""Appends events to a sample's log, each checked against the sample and against the events before it."""

from collections.abc import Iterable

from fastapi.exceptions import RequestValidationError
from sqlalchemy import Connection

from morula.common.errors import Conflict
from morula.gateway.ledger import label_sets, samples
from morula.gateway.ledger.records import Record
from morula.gateway.samples.fold import check_own_undo
from morula.gateway.samples.kinds import LabelsImported, SampleUndone, SentKind, Statement
from morula.gateway.samples.state import Place

AnyKind = SentKind | LabelsImported


def append_event(tx: Connection, sample_id: str, event: AnyKind) -> tuple[int, bool]:
    """Append an event if it is valid after all events before it; its number, and whether it is new.

    Else an error is raised, and nothing is written.
    """
    row = samples.get_sample(tx, sample_id, lock=True)
    if event.event_id is not None:
        known = samples.find_event(tx, sample_id, event.event_id)
        if known is not None:
            return _same_event(known, event), False
    if isinstance(event, Statement):
        _check_numbers(tx, row["label_set_id"], event)
        _check_places(tx, sample_id, event.places(event.body.model_dump()))
    seq = samples.WORDS.append(
        tx, sample_id, event.actor, event.kind, event.body.model_dump(), event.expected_seq, event_id=event.event_id
    )
    if isinstance(event, SampleUndone):
        before = [one for one in samples.WORDS.after(tx, sample_id) if one.seq < seq]
        check_own_undo(before, event.body.seq, event.actor)
    return seq, True


def _same_event(known: Record, event: AnyKind) -> int:
    """The number of the event that is known under this id; Conflict where it says something else."""
    if (known["kind"], known["body"], known["actor"]) != (event.kind, event.body.model_dump(), event.actor):
        raise Conflict("Another event has this event_id.", seq=str(known["seq"]))
    return int(known["seq"])


def _check_numbers(tx: Connection, label_set_id: str, event: AnyKind) -> None:
    known = {row["number"] for row in label_sets.list_classes(tx, label_set_id)} | {None}
    body = event.body.model_dump()
    said = [body.get("class_number"), *(one["class_number"] for one in body.get("labels", []))]
    if not known.issuperset(said):
        raise _wrong("the label set has no class of this number")


def _check_places(tx: Connection, sample_id: str, places: Iterable[Place]) -> None:
    counts = {row["number"]: row["cell_count"] for row in samples.sample_tiles(tx, sample_id)}
    for tile, cell in places:
        if tile not in counts:
            raise _wrong(f"the sample has the tiles 1 to {len(counts)}")
        if cell > counts[tile]:
            raise _wrong(f"tile {tile} has the cells 1 to {counts[tile]}")


def _wrong(words: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", "body"), "msg": words, "type": "value_error"}])
