"""A ledger on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.migrate import default_project, migrate


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    url: str = request.getfixturevalue("postgres_url")
    return url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    migrate(ledger_url)
    opened = Ledger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def project(ledger: Ledger) -> str:
    with ledger.reading() as tx:
        return default_project(tx)
