"""Label sets: the words of a project for what a cell is."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from morula.common.errors import AlreadyExists, FailedPrecondition, NotFound
from morula.gateway.ledger.ids import new_id, now
from morula.gateway.ledger.records import Part, Record, Slice, by_id, every, part_of
from morula.gateway.ledger.tables import label_class, label_set

NOT_A_CELL = 250
"""Number of the class that every set has, for objects that the segmenter wrongly found."""

LAST_NUMBER = NOT_A_CELL - 1
COLOURS = ("#d55e00", "#0072b2", "#a98600", "#6b6b6b", "#3d8b37", "#b0479a", "#00a0c6", "#8c564b", "#7a5cc7", "#c0392b")
"""Colours that show on stained tissue and that colour-blind people can distinguish; none is the page's accent."""
DEFAULT_CLASSES = ("Tumour", "Lymphocyte", "Stroma", "Other")


def create_label_set(tx: Connection, project_id: str, name: str, classes: Sequence[tuple[str, str | None]]) -> str:
    """Add a label set with these classes (name, colour) beside "Not a cell"."""
    set_id = new_id()
    tx.execute(insert(label_set).values(id=set_id, project_id=project_id, name=name, next_number=1, created_at=now()))
    own = {"label_set_id": set_id, "number": NOT_A_CELL, "name": "Not a cell", "color": "#9a9a9a"}
    tx.execute(insert(label_class).values(**own))
    for class_name, color in classes:
        add_class(tx, set_id, class_name, color)
    return set_id


def get_label_set(tx: Connection, set_id: str) -> Record:
    """The label set with this id."""
    return by_id(tx, label_set, set_id)


def list_label_sets(tx: Connection, project_id: str, wanted: Slice) -> Part:
    """Label sets of a project, oldest first: the first is the default."""
    return part_of(tx, select(label_set).where(label_set.c.project_id == project_id), label_set.c.id, wanted)


def default_label_set(tx: Connection, project_id: str) -> str:
    """The label set for requests that name none."""
    return str(list_label_sets(tx, project_id, Slice(1)).rows[0]["id"])


def list_classes(tx: Connection, *set_ids: str) -> list[Record]:
    """Classes of these sets by number, "Not a cell" last."""
    query = select(label_class).where(label_class.c.label_set_id.in_(set_ids))
    return every(tx, query.order_by(label_class.c.label_set_id, label_class.c.number))


def add_class(tx: Connection, set_id: str, name: str, color: str | None) -> int:
    """Add a class under a number that was never used in this set."""
    change = update(label_set).where(label_set.c.id == set_id).values(next_number=label_set.c.next_number + 1)
    following = tx.execute(change.returning(label_set.c.next_number)).scalar_one_or_none()
    if following is None:
        raise NotFound("There is no label set with this id.", label_set_id=set_id)
    number = following - 1
    if number > LAST_NUMBER:
        raise FailedPrecondition(f"A label set has at most {LAST_NUMBER} classes.", label_set_id=set_id)
    values = {"number": number, "name": name, "color": color or COLOURS[(number - 1) % len(COLOURS)]}
    _write_class(tx, insert(label_class).values(label_set_id=set_id, **values), name)
    return int(number)


def change_class(tx: Connection, set_id: str, number: int, values: dict[str, str]) -> None:
    """Give a class another name or colour; its number and what was labelled with it stay."""
    change = update(label_class).where(label_class.c.label_set_id == set_id, label_class.c.number == number)
    if not any(row["number"] == number for row in list_classes(tx, set_id)):
        raise NotFound("The label set has no class of this number.", label_set_id=set_id, number=str(number))
    if values:
        _write_class(tx, change.values(**values), values.get("name", ""))


def _write_class(tx: Connection, statement: object, name: str) -> None:
    try:
        tx.execute(statement)  # type: ignore[call-overload]
    except IntegrityError as error:
        raise AlreadyExists(f"The label set has a class {name!r} already.") from error
