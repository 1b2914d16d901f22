"""How the database is opened, and what its errors tell: they go to the log and must not hold what people wrote."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Timer

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from morula.gateway.ledger.engine import enter_wal, open_engine


def test_errors_do_not_show_values(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    with engine.connect() as connection, pytest.raises(OperationalError) as failed:
        connection.execute(text("SELECT * FROM nothing WHERE name = :name"), {"name": "Mrs Patient"})
    engine.dispose()
    assert "Patient" not in str(failed.value)


def test_wal_mode_is_entered_once_others_let_go(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with (
        closing(sqlite3.connect(path, check_same_thread=False)) as holder,
        closing(sqlite3.connect(path, timeout=0)) as entering,
    ):
        holder.execute("BEGIN EXCLUSIVE")
        release = Timer(0.2, holder.rollback)
        release.start()
        enter_wal(entering, patience_s=10)
        release.join()
        assert entering.execute("PRAGMA journal_mode").fetchone() == ("wal",)
