"""The log of changes on both databases: found by an index, pruned, and who missed something is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, text

from morula.gateway.ledger import events
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.migrate import migrate
from morula.gateway.ledger.tables import event as event_table
from morula.gateway.listeners import Listeners

EVENT_COUNT = 20_000
SUBJECT_COUNT = 200


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")
    migrate(url)
    opened = Ledger(url)
    with opened.writing() as tx:
        rows = [
            {"seq": seq, "kind": "job", "subject_id": f"job-{seq % SUBJECT_COUNT}", "time": float(seq)}
            for seq in range(1, EVENT_COUNT + 1)
        ]
        tx.execute(insert(event_table), rows)
    with opened.writing() as tx:
        tx.execute(text("ANALYZE"))
    yield opened
    opened.close()


def plan_of(tx: Connection, ask: Any) -> str:
    """How the database would answer what is asked."""
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _k: object, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(tx.engine, "before_cursor_execute", note)
    try:
        ask()
    finally:
        event.remove(tx.engine, "before_cursor_execute", note)
    [(statement, parameters)] = asked
    explain = "EXPLAIN QUERY PLAN" if tx.dialect.name == "sqlite" else "EXPLAIN"
    return "\n".join(str(tuple(row)) for row in tx.exec_driver_sql(f"{explain} {statement}", parameters))


def test_a_job_s_changes_are_found_by_an_index(ledger: Ledger) -> None:
    with ledger.reading() as tx:
        for ask in (
            lambda: events.last_change(tx, "job-7"),
            lambda: events.changes_after(tx, EVENT_COUNT // 2, "job", "job-7"),
        ):
            assert "ix_event_subject_id_seq" in plan_of(tx, ask)
        assert events.last_change(tx, "job-7") == EVENT_COUNT - SUBJECT_COUNT + 7


def test_the_oldest_go_but_never_one_of_the_newest(ledger: Ledger) -> None:
    pruned = []
    while not pruned or pruned[-1]:
        with ledger.writing() as tx:
            pruned.append(events.prune(tx, older_than=15_000.0, keep_count=1000))
    assert pruned == [events.PRUNED_AT_ONCE, events.PRUNED_AT_ONCE, 14_999 - 2 * events.PRUNED_AT_ONCE, 0]
    with ledger.writing() as tx:
        events.prune(tx, older_than=1e9, keep_count=5000)
    with ledger.reading() as tx:
        assert events.changes_after(tx, 0)[0][0] == 15_001


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (None, (EVENT_COUNT, False)),
        (EVENT_COUNT, (EVENT_COUNT, False)),
        (4999, (EVENT_COUNT, True)),
        (5000, (5000, False)),
        (EVENT_COUNT + 1, (EVENT_COUNT, True)),
    ],
)
async def test_who_missed_what_was_pruned_is_told(ledger: Ledger, seen: int | None, expected: tuple[int, bool]) -> None:
    with ledger.writing() as tx:
        events.prune(tx, older_than=1e9, keep_count=1000)
    assert await Listeners(ledger).resume(seen) == expected
