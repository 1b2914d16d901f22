"""Whose a store is, and whether it is the one that a database's objects lie in.

Every database leaves its mark in the store that it uses. Objects are deleted only while there is no other database's:
its rows are not seen here. And a store without the mark of a database that has objects is another one: a mount point
whose disk is away, a bucket of another name. It is away, not empty: what lies there is nothing of this database's, and
what is written there is lost. A copy of a database has the same mark: it stands for it.
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
"""How long a store is believed to be the one that it was seen to be."""
SAMPLE_COUNT = 8
"""Of so many objects one has to be there, where the mark is not."""


def mark_of(tx: Connection, project_id: str) -> str:
    """Key of this database's mark: the moment at which it was laid is its own."""
    laid_at: float = tx.execute(select(project.c.created_at).where(project.c.id == project_id)).scalar_one()
    return f"{MARKS}/{project_id}/{digest(repr(laid_at))[:16]}.json"


def leave_mark(store: Store, mark: str) -> None:
    """Say that this database uses the store."""
    store.put(mark, write_json({"about": "A database of Morula uses this store."}))


def others(store: Store, mark: str) -> list[str]:
    """Marks of other databases of the same project."""
    return sorted(seen.key for seen in store.survey(f"{mark.rpartition('/')[0]}/") if seen.key != mark)


class OwnStore:
    """The store of one database, which is away where another one lies in its place.

    That is looked at before anything is written, deleted or listed, and wherever something is missing.
    """

    def __init__(self, store: Store, ledger: Ledger, mark: str) -> None:
        self._store = store
        self._ledger = ledger
        self._mark = mark
        self._believed_until = 0.0

    def check(self) -> None:
        """Unavailable where this is not the store that the database's objects lie in; the first is marked as it."""
        if time.monotonic() < self._believed_until:
            return
        if not self._lies_there(self._mark):
            self._check_unmarked()
            leave_mark(self._store, self._mark)
        self._believed_until = time.monotonic() + FRESH_S

    def _check_unmarked(self) -> None:
        """A database without objects has no store yet; and a store from before there were marks has its objects."""
        try:
            with self._ledger.reading() as tx:
                sample = objects.sample(tx, SAMPLE_COUNT)
        except Exception as error:
            if not passes(error):
                raise
            raise Unavailable("The database is away; try again soon.") from error
        if sample and not any(map(self._lies_there, sample)):
            raise Unavailable(
                "The store is not the one that this database's objects lie in: is its disk mounted, is it the right "
                f"bucket? If all its objects are lost for good, lay an object {self._mark} there."
            )

    def _lies_there(self, key: str) -> bool:
        return any(seen.key == key for seen in self._store.survey(key))

    @contextmanager
    def _missing_here(self) -> Iterator[None]:
        """What is missing in another store is not missing."""
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
