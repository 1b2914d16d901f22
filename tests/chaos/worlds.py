"""All of Morula's programs on a ground: services that stay, and gateways that begin anew with each round."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from morula.onebox.machine import SERVICES, any_port, is_ready
from morula.onebox.supervisor import Program, Supervisor
from tests.chaos.door import Door
from tests.chaos.grounds import Ground

REPOSITORY = Path(__file__).parents[2]
STOP_S = 15.0


@dataclass(frozen=True)
class Round:
    """Everything, for one job."""

    ground: Ground
    door: Door
    supervisors: tuple[Supervisor, Supervisor]
    gateways: tuple[str, ...]

    def pid(self, name: str) -> int:
        """Process id of a program as it runs now."""
        services, gateways = self.supervisors
        return (gateways if name in self.gateways else services).pid(name)


class World:
    """Services on a ground."""

    def __init__(self, ground: Ground, root: Path, sockets: Path) -> None:
        self.ground = ground
        self._root = root
        self._sockets = sockets
        self.messages: list[str] = []
        (root / "logs").mkdir()
        (root / "scratch").mkdir()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The services, as long as the context lasts."""
        with ExitStack() as channels:
            programs = [self._service(name, module, channels) for name, module in SERVICES.items()]
            with Supervisor(programs, self._root / "logs", self.messages.append) as self._services:
                self._services.wait_until_healthy()
                yield

    @contextmanager
    def round(self) -> Iterator[Round]:
        """Gateways on an empty database and an empty store, as long as the context lasts."""
        self.ground.clear()
        database = self.ground.new_database()
        urls = {f"gateway-{n}": f"http://127.0.0.1:{any_port()}" for n in range(self.ground.gateway_count)}
        programs = [self._gateway(name, url, database) for name, url in urls.items()]
        with Supervisor(programs, self._root / "logs", self.messages.append) as gateways:
            gateways.wait_until_healthy()
            with Door(list(urls.values())) as door:
                yield Round(self.ground, door, (self._services, gateways), tuple(urls))

    def _service(self, name: str, module: str, channels: ExitStack) -> Program:
        channel = channels.enter_context(grpc.insecure_channel(self._address(name)))
        return self._program(
            name, module, {"ADDRESS": self._address(name), "GRACE_S": "3"}, lambda: _is_serving(channel)
        )

    def _gateway(self, name: str, url: str, database: str) -> Program:
        settings = {
            "PORT": url.rpartition(":")[2],
            "DATABASE_URL": database,
            "SCRATCH": str(self._root / "scratch"),
            "EXECUTOR_ID": name,
            **{f"{service.upper()}_ADDRESS": self._address(service) for service in SERVICES},
        }
        return self._program(name, "morula.gateway", settings, lambda: is_ready(url))

    def _program(self, name: str, module: str, settings: dict[str, str], is_healthy: Callable[[], bool]) -> Program:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("MORULA_")}
        paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
        environment = {
            **plain,
            **{f"MORULA_{name}": value for name, value in settings.items()},
            **self.ground.environment,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "CHAOS_MODULE": module,
        }
        return Program(name, "tests.chaos.program", environment, is_healthy, STOP_S)

    def _address(self, name: str) -> str:
        return f"unix:{self._sockets / name}"


@contextmanager
def open_world(make_ground: Callable[[Path], object], root: Path) -> Iterator[World]:
    """A world of its own below `root`."""
    # Not below `root`: 107 bytes is all that a socket's path may have.
    sockets = Path(tempfile.mkdtemp(prefix="mo-", dir="/tmp"))
    try:
        with make_ground(root) as ground:  # type: ignore[attr-defined]
            world = World(ground, root, sockets)
            with world.running():
                yield world
    finally:
        shutil.rmtree(sockets)


def _is_serving(channel: grpc.Channel) -> bool:
    try:
        reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2.0)
    except grpc.RpcError:
        return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)
