"""The composition root of one machine: which programs run, where they listen, and what they are told."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from morula.common.models import add_rows
from morula.common.weights import WeightsFolder
from morula.onebox.client import Client
from morula.onebox.failures import Failure
from morula.onebox.folder import DataFolder, Verb
from morula.onebox.supervisor import Program, Supervisor

DEFAULT_PORT = 8610
PORTS_TRIED = 50
SOCKET_PATH_BYTES = 107
SERVICES = {
    "tiler": "morula.tiler",
    "segmenter": "morula.segmenter",
    "embedder": "morula.embedder",
    "clusterer": "morula.clusterer",
    "labeller": "morula.clusterer.labeller",
}
SERVICE_GRACE_S = 3.0
STOP_S = 15.0


@dataclass(frozen=True)
class House:
    """Everything that runs, and the door to it."""

    url: str
    folder: DataFolder
    supervisor: Supervisor

    def client(self) -> Client:
        """A caller of its gateway."""
        return Client(self.url)


@contextmanager
def open_house(folder: DataFolder, verb: Verb, *, port: int, notify: Callable[[str], None]) -> Iterator[House]:
    """Runs all services and the gateway on one folder until the block ends."""
    with folder.locked(verb), _socket_folder() as sockets:
        addresses = {name: f"unix:{sockets / name}" for name in SERVICES}
        url = f"http://127.0.0.1:{port}"
        programs = [_service(name, addresses[name], folder) for name in SERVICES]
        add_rows(WeightsFolder(folder.weights).rows())
        with Supervisor([*programs, _gateway(addresses, url, port, folder)], folder.logs, notify) as supervisor:
            supervisor.wait_until_healthy()
            yield House(url, folder, supervisor)


def free_port(wanted: int | None) -> int:
    """The port asked for, or the default one, or the next free one after it."""
    if wanted is not None:
        if not _is_free(wanted):
            raise Failure(f"port {wanted} is taken; choose another one with --port, or leave --port out")
        return wanted
    for port in range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED):
        if _is_free(port):
            return port
    raise Failure(f"ports {DEFAULT_PORT} to {DEFAULT_PORT + PORTS_TRIED - 1} are taken; choose one with --port")


def any_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


@contextmanager
def _socket_folder() -> Iterator[Path]:
    """A private folder with a short name: the path of a socket has 107 bytes at most."""
    path = Path(tempfile.mkdtemp(prefix="morula-", dir=_socket_base()))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _socket_base() -> str:
    longest = len("/morula-12345678/") + max(map(len, SERVICES))
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108 a private folder is made in it
        if base and os.access(base, os.W_OK) and len(os.fsencode(base)) + longest <= SOCKET_PATH_BYTES:
            return base
    raise Failure("no folder for sockets: set TMPDIR to a writable folder with a short path")


def _environment(folder: DataFolder, **settings: str) -> dict[str, str]:
    """The surroundings of a child: ours, but with settings of this house only."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MORULA_")}
    return (
        plain
        | {f"MORULA_{name}": value for name, value in settings.items()}
        | {
            "MORULA_STORE_URL": folder.objects.as_uri(),
            "MORULA_WEIGHTS_DIR": str(folder.weights),
            "PYTHONUNBUFFERED": "1",
        }
    )


def _service(name: str, address: str, folder: DataFolder) -> Program:
    return Program(
        name=name,
        module=SERVICES[name],
        environment=_environment(folder, ADDRESS=address, GRACE_S=str(SERVICE_GRACE_S)),
        is_healthy=lambda: _is_serving(address),
        stop_s=STOP_S,
    )


def _gateway(addresses: dict[str, str], url: str, port: int, folder: DataFolder) -> Program:
    workers = {f"{name.upper()}_ADDRESS": address for name, address in addresses.items()}
    return Program(
        name="gateway",
        module="morula.gateway",
        environment=_environment(
            folder, PORT=str(port), DATABASE_URL=f"sqlite:///{folder.database}", SCRATCH=str(folder.scratch), **workers
        ),
        is_healthy=lambda: _is_ready(url),
        stop_s=STOP_S,
    )


def _is_serving(address: str) -> bool:
    if not Path(address.removeprefix("unix:")).exists():
        return False
    with grpc.insecure_channel(address) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2.0)
        except grpc.RpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2.0).is_success
    except httpx.TransportError:
        return False
