"""Errors of the database go to the log: they must not hold what people wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from morula.gateway.ledger.engine import open_engine


def test_errors_do_not_show_values(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    with engine.connect() as connection, pytest.raises(OperationalError) as failed:
        connection.execute(text("SELECT * FROM nothing WHERE name = :name"), {"name": "Mrs Patient"})
    engine.dispose()
    assert "Patient" not in str(failed.value)
