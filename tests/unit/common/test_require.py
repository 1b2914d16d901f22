"""What is not installed is skipped with the command that installs it, and fails where all must be there."""

import pytest

from tests.servers.require import free_ports, require


def test_what_is_there_is_no_matter() -> None:
    require("path/to/it", "it", "install it")


def test_what_is_missing_is_skipped_and_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MORULA_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="Ceph is not there: apt-get install ceph"):
        require(None, "Ceph", "apt-get install ceph")


def test_what_is_missing_fails_where_all_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORULA_REQUIRE", "all")
    with pytest.raises(pytest.fail.Exception, match="apt-get install ceph"):
        require(None, "Ceph", "apt-get install ceph")


def test_free_ports_differ() -> None:
    assert len(set(free_ports(5))) == 5
