"""Keys in the ledger on both databases, and what a start needs of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from morula.common.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from morula.gateway.api_keys import digest_of, new_key, prefix_of
from morula.gateway.ledger import api_keys
from morula.gateway.ledger.engine import Ledger
from morula.gateway.listening import prepare
from morula.gateway.scopes import SCOPES
from morula.gateway.settings import GatewaySettings
from tests.servers.rows import ALL


def test_of_many_keys_that_are_made_at_once_two_live(ledger: Ledger, project: str) -> None:
    def make(_: int) -> bool:
        key = new_key()
        try:
            with ledger.writing() as tx:
                api_keys.create_key(tx, project, "scanner", digest_of(key), prefix_of(key), ["read"])
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(make, range(6))) == 2


def test_beyond_loopback_nothing_starts_without_a_live_key_and_the_first_one_stays_revoked(
    ledger: Ledger, project: str
) -> None:
    def start(**settings: object) -> None:
        prepare(GatewaySettings.model_validate(settings), ledger)

    start(host="::1")
    with pytest.raises(FailedPrecondition, match=r"beyond loopback.*keys create --name first"):
        start(host="0.0.0.0")
    with pytest.raises(InvalidArgument, match="MORULA_FIRST_KEY is no key"):
        start(host="0.0.0.0", first_key="morula_short")
    key = new_key()
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: start(host="0.0.0.0", first_key=key), range(3)))
    with ledger.writing() as tx:
        (row,) = api_keys.list_keys(tx, project, ALL).rows
        assert (row["name"], row["scopes"], row["digest"]) == ("first", sorted(SCOPES), digest_of(key))
        api_keys.revoke_key(tx, row["id"])
    with pytest.raises(FailedPrecondition, match="MORULA_REQUIRE_KEYS"):
        start(require_keys=True, first_key=key)


def test_a_third_first_key_is_told_and_keeps_nobody_away(
    ledger: Ledger, project: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [new_key() for _ in range(3)]
    for key in keys:
        prepare(GatewaySettings.model_validate({"require_keys": True, "first_key": key}), ledger)
    with ledger.reading() as tx:
        assert [api_keys.find_key(tx, digest_of(key)) is not None for key in keys] == [True, True, False]
    told = "".join(capsys.readouterr())
    assert "MORULA_FIRST_KEY lets nobody in" in told
    assert "revoke one of them first" in told
    assert not any(key in told for key in keys)


def test_a_certificate_that_cannot_be_used_is_told_in_words(ledger: Ledger, tmp_path: Path) -> None:
    for settings in ({"https_cert": tmp_path / "a"}, {"https_cert": tmp_path / "a", "https_key": tmp_path / "b"}):
        with pytest.raises(InvalidArgument, match="MORULA_HTTPS_CERT"):
            prepare(GatewaySettings.model_validate(settings), ledger)
