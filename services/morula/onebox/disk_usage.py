"""What takes disk space in a data folder, and what of it nothing names."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from morula.common.folder import FolderStore
from morula.common.store import Store
from morula.gateway import own_store
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.migrate import default_project, has_current_schema
from morula.gateway.sweep import Swept, take_stock
from morula.gateway.sweep import sweep as sweep_store
from morula.onebox.failures import Failure
from morula.onebox.folder import DataFolder

KINDS = {
    "slide": "slides",
    "plan": "tiles",
    "tiles": "tiles",
    "pixels": "pixels",
    "cells": "cells",
    "index": "cells",
    "outlines": "cells",
    "shards": "cells",
    "vectors": "vectors",
    "morphology": "vectors",
    "leaf": "clusterings",
    "tree": "clusterings",
    "features": "clusterings",
    "confidence": "clusterings",
    "layout": "clusterings",
    "table": "tables",
    "class": "label layers",
    "label_confidence": "label layers",
    "model": "label layers",
    "truth": "truths",
    "effective": "evaluations",
    "evaluation": "evaluations",
    "report": "evaluations",
    "sheet": "pictures of cells",
}
"""What people call the stages that keys name."""


@dataclass(frozen=True)
class DiskUsage:
    """How much disk space a kind of thing takes."""

    kind: str
    count: int
    size_bytes: int


def measure(folder: DataFolder) -> list[DiskUsage]:
    """What takes disk space, the largest first, and what is left."""
    kinds: dict[str, list[int]] = defaultdict(list)
    if folder.database.is_file():
        with _opened(folder) as (ledger, store, project):
            stock = take_stock(ledger, store, project)
        for entry in stock.used:
            kinds[KINDS.get(entry.key.split("/")[2], "other objects")].append(entry.size_bytes)
        kinds["being deleted"] += [entry.size_bytes for entry in stock.doomed]
        kinds["named by nothing (morula sweep)"] += [entry.size_bytes for entry in stock.orphans]
        kinds["on their way"] += [entry.size_bytes for entry in stock.young]
    kinds["the store's own notes"] += _sizes([folder.objects / ".morula"])
    kinds["temporary"] += _sizes([folder.scratch])
    kinds["logs"] += _sizes([folder.logs])
    kinds["weights"] += _sizes([folder.weights])
    kinds["database"] += _sizes(folder.root.glob("*.db*")) + _sizes(folder.root.glob("*.sqlite*"))
    usages = [DiskUsage(kind, len(sizes), sum(sizes)) for kind, sizes in kinds.items() if sizes]
    free = DiskUsage("free on the disk", 0, shutil.disk_usage(folder.root).free)
    return [*sorted(usages, key=lambda usage: -usage.size_bytes), free]


def other_databases(folder: DataFolder) -> int:
    """How many other databases use these objects, or did."""
    if not folder.database.is_file():
        return 0
    with _opened(folder) as (ledger, store, project), ledger.reading() as tx:
        return len(own_store.others(store, own_store.mark_of(tx, project)))


def sweep(folder: DataFolder, grace_s: float, *, delete: bool, alone: bool) -> Swept:
    """Find what nothing names, and delete it where asked to; a gateway may be at work on the folder meanwhile."""
    if not folder.database.is_file():
        raise Failure(f"there is no database in {folder.root}; name the folder with --data")
    with _opened(folder) as (ledger, store, project):
        return sweep_store(ledger, store, project, grace_s, delete=delete, alone=alone)


@contextmanager
def _opened(folder: DataFolder) -> Iterator[tuple[Ledger, Store, str]]:
    ledger = Ledger(f"sqlite:///{folder.database}")
    try:
        with ledger.reading() as tx:
            if not has_current_schema(tx):
                raise Failure(
                    f"the database in {folder.root} is of another version: start morula serve once, which updates it"
                )
            project = default_project(tx)
            mark = own_store.mark_of(tx, project)
        yield ledger, own_store.OwnStore(FolderStore(folder.objects), ledger, mark), project
    finally:
        ledger.close()


def _sizes(places: Iterable[Path]) -> list[int]:
    sizes: list[int] = []
    for place in places:
        for path in [place, *place.rglob("*")]:
            with suppress(FileNotFoundError):  # Deleted meanwhile.
                if path.is_file():
                    sizes.append(path.stat().st_size)
    return sizes
