"""What a labelling in which much was said costs, in steps of SQLite: no load of the machine changes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, insert, update

from morula.gateway.api.labellings import append_checked
from morula.gateway.labels.kinds import NewEvent
from morula.gateway.labels.learning import snapshot_of
from morula.gateway.ledger import boards, clusterings, labels
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.migrate import default_project, migrate
from morula.gateway.ledger.tables import label_event, labelling
from tests.servers.rows import add_labelling

T = TypeVar("T")
SHORT, LONG = 300, 3000
STEPS = 100
"""SQLite tells that so many steps were taken."""


def page(seq: int) -> dict[str, object]:
    cells = [{"row": row, "class_number": 1, "shown_class_number": None} for row in range(12 * seq, 12 * seq + 12)]
    return {"class_number": 1, "cells": cells, "place": {"node_id": 1, "leaf": 1}, "version": 0, "page_seq": seq - 1}


def lay(folder: Path, event_count: int) -> tuple[Ledger, str]:
    """A ledger with a labelling of so many events, of which every tenth takes back the one before it."""
    url = f"sqlite:///{folder}/{event_count}.sqlite"
    migrate(url)
    ledger = Ledger(url)
    rows = [
        {
            "seq": seq,
            "kind": "page_named" if seq % 10 else "undone",
            "body": page(seq) if seq % 10 else {"seq": seq - 1},
        }
        for seq in range(1, event_count + 1)
    ]
    with ledger.writing() as tx:
        labelling_id = add_labelling(tx, default_project(tx))
        tx.execute(
            insert(label_event), [{"labelling_id": labelling_id, "actor": "a", "time": 1.0, **row} for row in rows]
        )
        tx.execute(update(labelling).values(seq=event_count))
    return ledger, labelling_id


def steps(tx: Connection, work: Callable[[], T]) -> tuple[int, T]:
    """How many hundreds of steps the database takes for this, and what comes of it."""
    ticks: list[None] = []
    connection = tx.connection.dbapi_connection
    assert connection is not None
    connection.set_progress_handler(lambda: ticks.append(None), STEPS)  # type: ignore[attr-defined]
    done = work()
    connection.set_progress_handler(None, STEPS)  # type: ignore[attr-defined]
    return len(ticks), done


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Ledger, str]]:
    folder = tmp_path_factory.mktemp("grown")
    return [lay(folder, count) for count in (SHORT, LONG)]


def test_telling_what_a_slide_s_labellings_hold_costs_no_more_for_each_event(grown: list[tuple[Ledger, str]]) -> None:
    taken = []
    for ledger, labelling_id in grown:
        with ledger.reading() as tx:
            row = labels.get_labelling(tx, labelling_id)
            slide_id = clusterings.clustering_slides(tx, row["clustering_id"])[0]["slide_id"]
            count, offered = steps(tx, partial(boards.boards_of_slides, tx, [slide_id]))
        taken.append(count)
        assert [one["page_count"] for one in offered[slide_id]] == [row["seq"] * 8 // 10]
    assert taken[1] < 2 * LONG / SHORT * taken[0]


def test_a_word_holds_the_write_lock_as_briefly_after_many_as_after_few(grown: list[tuple[Ledger, str]]) -> None:
    taken = []
    for ledger, labelling_id in grown:
        with ledger.reading() as tx:
            snapshot = snapshot_of(tx, labelling_id)
        body = page(snapshot.labels.seq + 1)
        event = NewEvent.model_validate({"actor": "a", "kind": "page_named", "body": body})
        with ledger.writing() as tx:
            taken.append(steps(tx, partial(append_checked, tx, snapshot, event.root))[0])
    assert taken[1] < 2 * taken[0] + 10
