"""The composition root of one machine: which programs run, where they listen, and with which settings."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from morula.common import clustering
from morula.common.models import ANY_USE, PROFILES, Profile, add_rows
from morula.common.processor import computes_in_bfloat16
from morula.common.weights import WeightsFolder
from morula.gateway.pipeline.params import Numerics
from morula.onebox.client import Client
from morula.onebox.failures import Failure, WrongUse
from morula.onebox.folder import DataFolder, Verb
from morula.onebox.supervisor import Program, Supervisor

DEFAULT_PORT = 8610
PORTS_TRIED = 50
SOCKET_PATH_BYTES = 107
SOCKET_FOLDER_DIGITS = 12
RECONNECT_OPTIONS = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 500))
SERVICES = {
    "tiler": "morula.tiler",
    "segmenter": "morula.segmenter",
    "embedder": "morula.embedder",
    "clusterer": "morula.clusterer",
    "labeller": "morula.clusterer.labeller",
    "evaluator": "morula.evaluator",
}
KEY_SETTINGS = ("REQUIRE_KEYS", "FIRST_KEY")
"""Whether others who work on this machine need a key, too."""
SERVICE_GRACE_S = 3.0
STOP_S = 15.0


@dataclass(frozen=True)
class LocalMachine:
    """All programs of one machine, and the address of its gateway."""

    url: str
    folder: DataFolder
    supervisor: Supervisor

    def client(self) -> Client:
        """A caller of its gateway."""
        return Client(self.url)


@contextmanager
def open_machine(
    folder: DataFolder,
    verb: Verb,
    *,
    port: int,
    notify: Callable[[str], None],
    folders: Mapping[str, Path] | None = None,
) -> Iterator[LocalMachine]:
    """Runs all services and the gateway on one folder until the block ends.

    Slides below `folders` may be taken in by reference, by the names given.
    """
    with folder.locked(verb), _socket_folder(folder) as sockets, ExitStack() as channels:
        addresses = {name: f"unix:{sockets / name}" for name in SERVICES}
        url = f"http://127.0.0.1:{port}"
        add_rows(WeightsFolder(folder.weights).rows())
        metrics = channels.enter_context(_announced_metrics(folder, port, notify))
        programs = [_service(name, address, metrics, folder, channels) for name, address in addresses.items()]
        gateway = _gateway(addresses, url, port, folder, folders or {})
        with Supervisor([*programs, gateway], folder.logs, notify) as supervisor:
            supervisor.wait_until_healthy()
            yield LocalMachine(url, folder, supervisor)


def numerics() -> Numerics:
    """How networks compute here: with all threads, in what MORULA_NETWORK_DTYPE names or this processor is fast in."""
    fast = "bfloat16" if computes_in_bfloat16() else "float32"
    return Numerics(os.environ.get("MORULA_NETWORK_DTYPE") or fast)


def profile() -> Profile:
    """What results are for, as MORULA_PROFILE says."""
    named = os.environ.get("MORULA_PROFILE") or ANY_USE
    for known in PROFILES:
        if named == known:
            return known
    raise WrongUse(f"MORULA_PROFILE is {' or '.join(PROFILES)}, not {named!r}")


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
def _socket_folder(folder: DataFolder) -> Iterator[Path]:
    """A private folder with a short name: the path of a socket has 107 bytes at most.

    A data folder has the same one each time, so that what was killed leaves none behind; its lock is held here.
    """
    owner = f"{os.geteuid()}:{folder.root.resolve()}"
    name = hashlib.sha256(os.fsencode(owner)).hexdigest()[:SOCKET_FOLDER_DIGITS]
    path = Path(_socket_base()) / f"morula-{name}"
    # A link or another user's folder is left alone: mkdir then fails.
    shutil.rmtree(path, ignore_errors=True)
    try:
        path.mkdir(mode=0o700)
    except OSError as error:
        raise Failure(f"cannot make {path}: {error.strerror}; set TMPDIR to a folder of your own") from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class _Metrics:
    """Where the numbers are read: on loopback, a service's on another port after each of its starts.

    Between two starts anybody's connection may take a port that the kernel gave to us.
    """

    def __init__(self, path: Path, gateway_port: int, notify: Callable[[str], None]) -> None:
        self._path = path
        self._ports = {"gateway": gateway_port}
        self._notify = notify
        self._guard = threading.Lock()
        self._write()

    def at_start(self, name: str) -> dict[str, str]:
        """A service's port for the start that follows. A full disk does not keep it from starting."""
        with self._guard:
            self._ports[name] = any_port()
            try:
                self._write()
            except OSError as error:
                self._notify(f"cannot write {self._path}: {error.strerror}; the metrics of {name} are not announced")
            return {"MORULA_METRICS_PORT": str(self._ports[name])}

    def _write(self) -> None:
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"job": "morula", "service": name}}
            for name, port in self._ports.items()
        ]
        unfinished = self._path.with_name(f".{self._path.name}")
        unfinished.write_text(json.dumps(targets, indent=2))
        unfinished.rename(self._path)


@contextmanager
def _announced_metrics(folder: DataFolder, port: int, notify: Callable[[str], None]) -> Iterator[_Metrics]:
    """Announces the addresses of the metrics for the time of the block."""
    try:
        yield _Metrics(folder.metrics, port, notify)
    finally:
        folder.metrics.unlink(missing_ok=True)


def _socket_base() -> str:
    longest = len("/morula-/") + SOCKET_FOLDER_DIGITS + max(map(len, SERVICES))
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108 a private folder is made in it
        if base and os.access(base, os.W_OK) and len(os.fsencode(base)) + longest <= SOCKET_PATH_BYTES:
            return base
    raise Failure("no folder for sockets: set TMPDIR to a writable folder with a short path")


def _environment(folder: DataFolder, **settings: str) -> dict[str, str]:
    """Environment variables of a child: ours, but of Morula's settings only those of this machine."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MORULA_")}
    return (
        plain
        | {f"MORULA_{name}": value for name, value in settings.items()}
        | {
            "MORULA_STORE_URL": folder.objects.as_uri(),
            "MORULA_WEIGHTS_DIR": str(folder.weights),
            # What a killed child leaves here is deleted when the folder is next opened.
            "TMPDIR": str(folder.scratch),
            "PYTHONUNBUFFERED": "1",
        }
    )


def _service(name: str, address: str, metrics: _Metrics, folder: DataFolder, channels: ExitStack) -> Program:
    channel = channels.enter_context(grpc.insecure_channel(address, RECONNECT_OPTIONS))
    return Program(
        name=name,
        module=SERVICES[name],
        environment=_environment(folder, ADDRESS=address, GRACE_S=str(SERVICE_GRACE_S)),
        is_healthy=lambda: _is_serving(address, channel),
        stop_s=STOP_S,
        at_start=lambda: metrics.at_start(name),
    )


def _gateway(
    addresses: dict[str, str], url: str, port: int, folder: DataFolder, folders: Mapping[str, Path]
) -> Program:
    workers = {f"{name.upper()}_ADDRESS": address for name, address in addresses.items()}
    named = json.dumps({name: str(path) for name, path in folders.items()})
    return Program(
        name="gateway",
        module="morula.gateway",
        environment=_environment(
            folder,
            PORT=str(port),
            DATABASE_URL=f"sqlite:///{folder.database}",
            SCRATCH=str(folder.scratch),
            FOLDERS=named,
            NETWORK_DTYPE=numerics().dtype,
            CLUSTERER_ALGORITHMS=json.dumps(clustering.installed()),
            PROFILE=profile(),
            **{name: os.environ[f"MORULA_{name}"] for name in KEY_SETTINGS if f"MORULA_{name}" in os.environ},
            **workers,
        ),
        is_healthy=lambda: is_ready(url),
        stop_s=STOP_S,
    )


def _is_serving(address: str, channel: grpc.Channel) -> bool:
    if not Path(address.removeprefix("unix:")).exists():
        return False
    try:
        reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2.0)
    except grpc.RpcError:
        return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def is_ready(url: str) -> bool:
    """Whether the gateway, its database and all services answer; the environment's proxy is not used.

    On a full disk, too: what is there can be looked at, and deleted.
    """
    try:
        # Certificates, which plain HTTP never asks for, take longer to read than the answer; a start asks often.
        answer = httpx.get(f"{url}/readyz", timeout=5.0, trust_env=False, verify=False).json()  # noqa: S501
        return answer["database"] == "ready" and all(answer["services"].values())
    except (httpx.TransportError, ValueError, KeyError):
        return False
