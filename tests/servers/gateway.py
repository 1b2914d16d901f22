"""A gateway with six real services, all in this process: what tests of the whole speak to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from morula.clusterer.labeller.servicer import LabellerServicer
from morula.clusterer.servicer import ClustererServicer
from morula.common.compute import Slot
from morula.common.folder import FolderStore
from morula.common.rpc import Server
from morula.common.settings import ServiceSettings
from morula.common.store import Store, open_store
from morula.embedder.servicer import EmbedderServicer
from morula.evaluator.servicer import EvaluatorServicer
from morula.gateway.app import create_app
from morula.gateway.components import Components
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.migrate import migrate
from morula.gateway.settings import GatewaySettings
from morula.gateway.workers import ABSENCE, Absence, Addresses, Workers
from morula.networks.models import Models
from morula.segmenter.backends import MODELS
from morula.segmenter.servicer import SegmenterServicer
from morula.tiler.servicer import TilerServicer
from tests.servers.jobs import classical

ENDED = ("succeeded", "failed", "cancelled")
Job = dict[str, Any]
NOBODY = Request({"type": "http", "headers": []})
"""What asks an endpoint that a test calls by itself."""

SEGMENTERS = Models("segmenter", MODELS, device="cpu")
"""Of all worlds of a process: the network that ships is read once, where somebody asks for it."""
MAKERS: dict[str, Callable[[Store], object]] = {
    "tiler": lambda store: TilerServicer(store),
    "segmenter": lambda store: SegmenterServicer(store, Slot("segmenter"), SEGMENTERS),
    "embedder": lambda store: EmbedderServicer(store, Slot("embedder")),
    "clusterer": lambda store: ClustererServicer(store, Slot("clusterer")),
    "labeller": lambda store: LabellerServicer(store, Slot("labeller")),
    "evaluator": lambda store: EvaluatorServicer(store, Slot("evaluator"), Slot("truths")),
}


@dataclass
class Services:
    """Six servers on unix sockets, each of which can be stopped and started."""

    store: Store
    folder: Path
    servers: dict[str, tuple[Server, object]] = field(default_factory=dict)
    absence: Absence = ABSENCE

    def address(self, name: str) -> str:
        return f"unix:{self.folder}/{name}"

    async def start(self, name: str, servicer: object | None = None, token: str | None = None) -> None:
        settings = ServiceSettings.model_validate({"address": self.address(name), "grace_s": 5.0, "token": token})
        made = servicer or MAKERS[name](self.store)
        server = Server(settings, [made])
        await server.start()
        self.servers[name] = (server, made)

    async def stop(self, name: str) -> None:
        server, servicer = self.servers.pop(name)
        await server.stop(0)
        if isinstance(servicer, TilerServicer):
            servicer.close()

    def connect(self) -> Workers:
        return Workers(Addresses(*(self.address(name) for name in MAKERS)), absence=self.absence)


@asynccontextmanager
async def services(root: Path, *, without: tuple[str, ...] = (), store: Store | None = None) -> AsyncIterator[Services]:
    """Real services over a store, below `root` unless one is given."""
    # Sockets lie in a short folder: 107 bytes is all that a socket's path may have.
    folder = Path(tempfile.mkdtemp(prefix="mo-", dir="/tmp"))
    running = Services(store or FolderStore(root / "objects"), folder)
    try:
        for name in MAKERS:
            if name not in without:
                await running.start(name)
        yield running
    finally:
        for name in list(running.servers):
            await running.stop(name)
        shutil.rmtree(folder)


class Client:
    """Speaks to an application, and waits for jobs."""

    def __init__(self, http: httpx.AsyncClient, components: Components) -> None:
        self.http = http
        self.components = components
        self.ledger = components.ledger

    async def upload(self, path: Path, **fields: str) -> dict[str, Any]:
        return self.ok(await self.http.post("/v1/slides", files=as_part(path), data=fields))

    async def run(self, slide_id: str, **params: object) -> Job:
        job = self.ok(await self.http.post("/v1/jobs", json={**classical(slide_id), **params}))
        return await self.ended(job["id"])

    async def ended(self, job_id: str) -> Job:
        """The job once it has ended: the stream of its events ends with it."""
        response = await self.http.get(f"/v1/jobs/{job_id}/events", timeout=120)
        assert response.status_code == 200, response.text
        return await self.job(job_id)

    async def job(self, job_id: str) -> Job:
        return self.ok(await self.http.get(f"/v1/jobs/{job_id}"))

    def changes(self, job_id: str) -> AsyncIterator[object]:
        """Whenever something about the job changes."""
        return self.components.listeners.follow(0, "job", job_id)

    @staticmethod
    def ok(response: httpx.Response) -> dict[str, Any]:
        assert response.is_success, response.text
        body: dict[str, Any] = response.json()
        return body


def as_part(path: Path) -> dict[str, tuple[str, bytes]]:
    """A file as the only part of a form."""
    return {"file": (path.name, path.read_bytes())}


def place_of(name: str, request: pytest.FixtureRequest) -> tuple[str, Store | None]:
    """Where a gateway keeps its things: a laptop's defaults, or what a cluster has."""
    if name == "SQLite and a folder":
        return "", None
    url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")
    server = request.getfixturevalue("s3_server")
    store = open_store(
        request.getfixturevalue("s3_url"),
        access_key=server.access_key,
        secret_key=server.secret_key,
        cache_dir=request.getfixturevalue("tmp_path") / "cache",
    )
    return url, store


@asynccontextmanager
async def gateway(running: Services, root: Path, database_url: str = "", **settings: object) -> AsyncIterator[Client]:
    """The application with its conductor, over these services."""
    url = database_url or f"sqlite:///{root}/morula.sqlite"
    chosen = GatewaySettings.model_validate({"database_url": url, "scratch": root, **settings})
    migrate(url)
    ledger = Ledger(url)
    app = create_app(chosen, ledger, running.connect, running.store)
    try:
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60) as http:
                yield Client(http, app.state.components)
    finally:
        ledger.close()
