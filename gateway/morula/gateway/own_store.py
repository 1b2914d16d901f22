"""Guards that a database uses its own store: which database uses a store, and whether it is the right one.

Every database leaves a mark in the store that it uses. Objects are deleted only while no other database has left one,
because the rows of the other database cannot be seen here. A store without this database's mark, although the database
has objects, is the wrong store: a mount point whose disk is away, a bucket of another name. It is treated as away and
not as empty: nothing in it belongs to this database, and what is written there is lost. A copy of a database has the
same mark and counts as the same database.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, select

from morula.common.arrays import write_json
from morula.common.errors import ArtifactMissing, Unavailable
from morula.common.keys import digest
from morula.common.store import Seen, Source, Store, Stored
from morula.gateway.ledger import objects
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.outages import passes
from morula.gateway.ledger.tables import project

MARKS = "databases"
FRESH_S = 1.0
"""How long a check of the store is trusted."""
SAMPLE_COUNT = 8
"""Without a mark, one of so many of the database's objects has to be in the store."""


def mark_of(tx: Connection, project_id: str) -> str:
    """Key of this database's mark: no other database was made at the same moment."""
    made_at: float = tx.execute(select(project.c.created_at).where(project.c.id == project_id)).scalar_one()
    return f"{MARKS}/{project_id}/{digest(repr(made_at))[:16]}.json"


def leave_mark(store: Store, mark: str) -> None:
    """Say that this database uses the store."""
    store.put(mark, write_json({"about": "A database of Morula uses this store."}))


def others(store: Store, mark: str) -> list[str]:
    """Marks of other databases of the same project."""
    return sorted(seen.key for seen in store.survey(f"{mark.rpartition('/')[0]}/") if seen.key != mark)


class OwnStore:
    """The store of one database, which raises Unavailable when another store is in its place.

    It checks this before it writes, deletes or lists anything, and whenever an object is missing.
    """

    def __init__(self, store: Store, ledger: Ledger, mark: str) -> None:
        self._store = store
        self._ledger = ledger
        self._mark = mark
        self._believed_until = 0.0

    def check(self) -> None:
        """Raise Unavailable if this is not the store with the database's objects; mark the first one that is."""
        if time.monotonic() < self._believed_until:
            return
        if not self._has(self._mark):
            self._check_unmarked()
            leave_mark(self._store, self._mark)
        self._believed_until = time.monotonic() + FRESH_S

    def _check_unmarked(self) -> None:
        """Accept an unmarked store if the database has no objects yet, or if its objects are there: older versions of
        Morula left no mark."""
        try:
            with self._ledger.reading() as tx:
                sample = objects.sample(tx, SAMPLE_COUNT)
        except Exception as error:
            if not passes(error):
                raise
            raise Unavailable("The database does not answer; try again soon.") from error
        if sample and not any(map(self._has, sample)):
            raise Unavailable(
                "The store is not the one that this database's objects lie in: is its disk mounted, is it the right "
                f"bucket? If all its objects are lost for good, put an object {self._mark} there."
            )

    def _has(self, key: str) -> bool:
        return any(seen.key == key for seen in self._store.survey(key))

    @contextmanager
    def _missing_here(self) -> Iterator[None]:
        """Before an object counts as missing, check that this is the right store."""
        try:
            yield
        except ArtifactMissing:
            self.check()
            raise

    def put(self, key: str, source: Source) -> Stored:
        self.check()
        return self._store.put(key, source)

    def put_large(self, key: str, source: Source) -> Stored:
        self.check()
        return self._store.put_large(key, source)

    def get(self, key: str, sha256: str | None = None) -> bytes:
        with self._missing_here():
            return self._store.get(key, sha256)

    @contextmanager
    def open(self, key: str, sha256: str | None = None) -> Iterator[BinaryIO]:
        with self._missing_here(), self._store.open(key, sha256) as stream:
            yield stream

    def stat(self, key: str) -> Stored | None:
        stored = self._store.stat(key)
        if stored is None:
            self.check()
        return stored

    def verify(self, key: str, sha256: str) -> None:
        with self._missing_here():
            self._store.verify(key, sha256)

    def list(self, prefix: str) -> Iterator[Stored]:
        self.check()
        return self._store.list(prefix)

    def survey(self, prefix: str) -> Iterator[Seen]:
        self.check()
        return self._store.survey(prefix)

    def delete(self, key: str, check: Callable[[], None] | None = None) -> None:
        self.check()
        self._store.delete(key, check)

    @contextmanager
    def local_path(self, key: str, sha256: str | None = None) -> Iterator[Path]:
        with self._missing_here(), self._store.local_path(key, sha256) as path:
            yield path
