"""Ports and sockets."""

import json
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from morula.onebox import machine
from morula.onebox.failures import Failure, WrongUse
from morula.onebox.folder import DataFolder


@pytest.fixture
def taken() -> object:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_default_port_means_the_next_free_one(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "DEFAULT_PORT", taken)
    assert taken < machine.free_port(None) < taken + machine.PORTS_TRIED


def test_a_taken_port_that_was_asked_for_is_an_error(taken: int) -> None:
    with pytest.raises(Failure, match=f"port {taken} is taken"):
        machine.free_port(taken)


def test_a_long_runtime_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    assert machine._socket_base() != str(deep)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(machine, "SOCKET_PATH_BYTES", 4096)
    return tmp_path


def test_sockets_of_the_killed_go(base: Path) -> None:
    folder = DataFolder(base / "data")
    with machine._socket_folder(folder) as first:
        assert first.stat().st_mode & 0o077 == 0
    first.mkdir()
    (first / "tiler").touch()
    with machine._socket_folder(folder) as second:
        assert second == first
        assert not list(second.iterdir())
        with machine._socket_folder(DataFolder(base / "other")) as other:
            assert other != second
    assert not second.exists()


def test_a_socket_folder_laid_by_somebody_else_is_not_used(base: Path) -> None:
    folder = DataFolder(base / "data")
    with machine._socket_folder(folder) as path:
        pass
    (base / "elsewhere").mkdir()
    path.symlink_to(base / "elsewhere")
    with pytest.raises(Failure, match="TMPDIR"), machine._socket_folder(folder):
        pass
    assert (base / "elsewhere").is_dir()


def test_a_service_is_asked_over_one_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address, opened = f"unix:{tmp_path}/tiler", []
    plain = grpc.insecure_channel

    def counted(target: str, options: Sequence[tuple[str, int]]) -> grpc.Channel:
        opened.append(target)
        return plain(target, options)

    monkeypatch.setattr(grpc, "insecure_channel", counted)
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    with ExitStack() as channels:
        metrics = machine._Metrics(tmp_path / "metrics.json", 1, print)
        program = machine._service("tiler", address, metrics, DataFolder(tmp_path), channels)
        assert not program.is_healthy()
        server.add_insecure_port(address)
        server.start()
        servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        assert not program.is_healthy()
        servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        assert program.is_healthy()
        server.stop(None).wait()
    assert opened == [address]


def test_each_start_has_a_port_of_metrics_of_its_own_and_announces_it(tmp_path: Path) -> None:
    def announced() -> dict[str, str]:
        return {told["labels"]["service"]: told["targets"][0] for told in json.loads(folder.metrics.read_text())}

    messages: list[str] = []
    folder = DataFolder(tmp_path)
    with ExitStack() as channels:
        metrics = channels.enter_context(machine._announced_metrics(folder, 8610, messages.append))
        program = machine._service("tiler", f"unix:{tmp_path}/tiler", metrics, folder, channels)
        first = int(program.at_start()["MORULA_METRICS_PORT"])
        assert announced() == {"gateway": "127.0.0.1:8610", "tiler": f"127.0.0.1:{first}"}
        with socket.socket() as other:
            other.bind(("127.0.0.1", first))
            again = int(program.at_start()["MORULA_METRICS_PORT"])
        assert again != first
        assert announced() == {"gateway": "127.0.0.1:8610", "tiler": f"127.0.0.1:{again}"}
        (tmp_path / ".metrics.json").mkdir()
        assert program.at_start(), "a file that cannot be written keeps no program from starting"
    assert [message for message in messages if "metrics of tiler are not announced" in message] == messages != []
    assert not folder.metrics.exists()


def test_settings_of_the_shell_do_not_reach_the_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORULA_TOKEN", "secret")
    environment = machine._environment(DataFolder(tmp_path), PORT="1")
    assert environment["MORULA_PORT"] == "1"
    assert environment["TMPDIR"] == str(tmp_path / "scratch")
    assert "MORULA_TOKEN" not in environment


def test_what_results_are_for_is_told_to_the_gateway_and_never_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for said, meant in {"": "research", "commercial": "commercial"}.items():
        monkeypatch.setenv("MORULA_PROFILE", said)
        program = machine._gateway({}, "http://127.0.0.1:1", 1, DataFolder(tmp_path), {})
        assert program.environment["MORULA_PROFILE"] == meant
    monkeypatch.setenv("MORULA_PROFILE", "comercial")
    with pytest.raises(WrongUse, match="research or commercial, not 'comercial'"):
        machine.profile()
