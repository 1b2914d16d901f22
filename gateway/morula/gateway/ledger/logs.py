"""Logs of what people said: events are appended and read, never changed. What owns a log counts its events in `seq`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, insert, select, update

from morula.common.errors import Stale
from morula.gateway.labels.state import LabelEvent
from morula.gateway.ledger.events import announce
from morula.gateway.ledger.ids import now
from morula.gateway.ledger.records import Part, Slice, by_id, part_of


@dataclass(frozen=True)
class Log:
    """The logs of all owners of one kind."""

    owner: Table
    events: Table

    @property
    def owner_id(self) -> Column[Any]:
        """The column of an event that names its owner."""
        column: Column[Any] = self.events.c[f"{self.owner.name}_id"]
        return column

    def append(
        self,
        tx: Connection,
        owner_id: str,
        actor: str,
        kind: str,
        body: Mapping[str, Any],
        expected_seq: int | None,
        **more: object,
    ) -> int:
        """Append an event and return its number; Stale where someone else appended since `expected_seq`.

        The owner's row stays locked until the transaction ends, so numbers have no gaps and writers take turns.
        """
        seq_of = self.owner.c.seq
        change = update(self.owner).where(self.owner.c.id == owner_id)
        if expected_seq is not None:
            change = change.where(seq_of == expected_seq)
        seq = tx.execute(change.values(seq=seq_of + 1).returning(seq_of)).scalar_one_or_none()
        if seq is None:
            current = by_id(tx, self.owner, owner_id)["seq"]
            raise Stale(
                f"The {self.owner.name} has changed since you looked.", seq=str(current), expected_seq=str(expected_seq)
            )
        values = {"seq": seq, "actor": actor, "time": now(), "kind": kind, "body": dict(body), **more}
        tx.execute(insert(self.events).values(**{self.owner_id.name: owner_id}, **values))
        announce(tx, self.owner.name, owner_id)
        return int(seq)

    def part(self, tx: Connection, owner_id: str, wanted: Slice) -> Part:
        """Some of an owner's events, oldest first."""
        by_id(tx, self.owner, owner_id)
        return part_of(tx, select(self.events).where(self.owner_id == owner_id), self.events.c.seq, wanted)

    def after(self, tx: Connection, owner_id: str, seq: int = 0) -> list[LabelEvent]:
        """An owner's events that follow this one, oldest first."""
        query = select(self.events).where(self.owner_id == owner_id, self.events.c.seq > seq)
        rows = tx.execute(query.order_by(self.events.c.seq)).mappings()
        return [LabelEvent(row["seq"], row["kind"], row["body"], row["actor"], row["time"]) for row in rows]
