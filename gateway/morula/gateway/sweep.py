"""Objects that no row names: found, and deleted where an operator says so.

What is younger than a day is let be, as somebody may be storing it; so is what is claimed meanwhile.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select, union

from morula.common.errors import FailedPrecondition
from morula.common.store import Seen, Store
from morula.gateway import own_store
from morula.gateway.burial import Burial
from morula.gateway.ledger import objects
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.tables import doomed_object, object_use, slide_file

GRACE_S = 24 * 3600.0


@dataclass
class Stock:
    """The objects of one project in the store."""

    used: list[Seen] = field(default_factory=list)
    doomed: list[Seen] = field(default_factory=list)
    orphans: list[Seen] = field(default_factory=list)
    """Named by no row and older than the grace."""
    young: list[Seen] = field(default_factory=list)
    """Named by no row, but so new that a row may follow."""


def take_stock(ledger: Ledger, store: Store, project: str, grace_s: float = GRACE_S) -> Stock:
    """Look at every object of the project."""
    # Rows are read after the objects: an object is claimed before it is written, so a new one is no orphan.
    seen = list(store.survey(f"{project}/"))
    before = time.time() - grace_s
    with ledger.reading() as tx:
        used: set[str] = set(tx.execute(union(select(object_use.c.key), select(slide_file.c.key))).scalars())
        doomed: set[str] = set(tx.execute(select(doomed_object.c.key)).scalars())
    stock = Stock()
    for each in seen:
        unnamed = stock.orphans if each.modified_at < before else stock.young
        (stock.used if each.key in used else stock.doomed if each.key in doomed else unnamed).append(each)
    return stock


@dataclass(frozen=True)
class Swept:
    """Objects that no row names, and how many of them were deleted."""

    orphans: Sequence[Seen]
    deleted_count: int

    def __str__(self) -> str:
        size_bytes = sum(orphan.size_bytes for orphan in self.orphans)
        return f"{len(self.orphans)} objects that nothing names, {size_bytes:,} bytes; {self.deleted_count} deleted"


def sweep(
    ledger: Ledger, store: Store, project: str, grace_s: float = GRACE_S, *, delete: bool = False, alone: bool = False
) -> Swept:
    """Find objects that no row names, and delete them if `delete`; gateways may run meanwhile."""
    with ledger.reading() as tx:
        mark = own_store.mark_of(tx, project)
    others = own_store.others(store, mark)
    if alone:
        for other in others:
            store.delete(other)
    elif others and delete:
        raise FailedPrecondition(
            f"{len(others)} other database(s) use these objects, and what they name cannot be seen here; "
            "if they are gone for good say --alone."
        )
    orphans = take_stock(ledger, store, project, grace_s).orphans
    return Swept(orphans, delete_orphans(ledger, store, orphans) if delete else 0)


def delete_orphans(ledger: Ledger, store: Store, orphans: Sequence[Seen]) -> int:
    """Delete these unless somebody has claimed them meanwhile; how many were deleted."""

    async def bury() -> int:
        burial = Burial(ledger, store)
        deleted = 0
        for orphan in orphans:
            await ledger.write(objects.doom, [orphan.key])
            deleted += await burial.bury(orphan.key)
        return deleted

    return asyncio.run(bury())
