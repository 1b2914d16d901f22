"""Ports and sockets."""

import socket
from pathlib import Path

import pytest

from morula.onebox import house
from morula.onebox.failures import Failure


@pytest.fixture
def taken() -> object:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_default_port_means_the_next_free_one(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house, "DEFAULT_PORT", taken)
    assert taken < house.free_port(None) < taken + house.PORTS_TRIED


def test_a_taken_port_that_was_asked_for_is_an_error(taken: int) -> None:
    with pytest.raises(Failure, match=f"port {taken} is taken"):
        house.free_port(taken)


def test_a_long_runtime_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    assert house._socket_base() != str(deep)


def test_settings_of_the_shell_do_not_reach_the_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORULA_TOKEN", "secret")
    environment = house._environment(house.DataFolder(tmp_path), PORT="1")
    assert environment["MORULA_PORT"] == "1"
    assert "MORULA_TOKEN" not in environment
