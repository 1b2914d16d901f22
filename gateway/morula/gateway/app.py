"""The application: endpoints over a ledger, a store and six services."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Literal

from fastapi import FastAPI
from fastapi.routing import APIRoute

from morula.common import tracing
from morula.common.store import Store
from morula.gateway import contract, problems
from morula.gateway.access import Access
from morula.gateway.api import (
    changes,
    clusterings,
    evaluations,
    events,
    exports,
    health,
    jobs,
    keys,
    label_sets,
    labellings,
    models,
    samples,
    session,
    slides,
    suggestions,
    truths,
)
from morula.gateway.caretaker import Caretaker
from morula.gateway.components import Components
from morula.gateway.conductor import Conductor
from morula.gateway.door import Door
from morula.gateway.doorkeeper import Doorkeeper
from morula.gateway.guard import Guard
from morula.gateway.intake import Intake
from morula.gateway.labels.learning import Learning
from morula.gateway.labels.moving import Moving
from morula.gateway.labels.paging import Paging
from morula.gateway.labels.service import Labelling
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.holds import HeldLedger
from morula.gateway.ledger.migrate import default_project
from morula.gateway.listeners import Listeners
from morula.gateway.numbers import Numbers
from morula.gateway.own_store import OwnStore, mark_of
from morula.gateway.page import Page
from morula.gateway.pipeline.run import Pipeline
from morula.gateway.pipeline.slide_job import Tools
from morula.gateway.samples.service import TileSamples
from morula.gateway.settings import GatewaySettings
from morula.gateway.storage import Storage
from morula.gateway.tasks import side_task
from morula.gateway.truths import Truths
from morula.gateway.uploads import Uploads
from morula.gateway.views import Views
from morula.gateway.workers import Workers
from morula.gateway.workflow_pruning import forget_ended

STATIC = Path(__file__).parent / "static"
ROUTERS = (
    health,
    slides,
    models,
    jobs,
    events,
    changes,
    clusterings,
    label_sets,
    labellings,
    suggestions,
    exports,
    samples,
    truths,
    evaluations,
    keys,
    session,
)


Part = Literal["all", "api", "conductor"]
"""What a process does: it answers people, conducts jobs, or both."""


def create_app(
    settings: GatewaySettings, ledger: Ledger, connect: Callable[[], Workers], store: Store, part: Part = "all"
) -> FastAPI:
    """The application. `connect` opens the channels to the services on the loop that the application runs on."""
    door = Door(ledger, asks=settings.asks_for_keys)
    conducts = part != "api"
    app = bare_app(
        lambda app: _live(app, settings, ledger, door, connect, store, conducts=conducts),
        (health,) if part == "conductor" else ROUTERS,
    )
    # The one that is added last is the outermost.
    app.add_middleware(Doorkeeper, door, app.routes)
    app.add_middleware(Guard, settings.allowed_hosts, settings.max_upload_bytes)
    app.add_middleware(Access)
    problems.install(app)
    if STATIC.is_dir() and part != "conductor":
        app.router.routes.append(Page(app, STATIC))
    return app


def bare_app(
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
    routers: Sequence[ModuleType] = ROUTERS,
) -> FastAPI:
    """Endpoints that describe themselves, with nothing behind them yet."""
    app = FastAPI(
        title="Morula",
        version=version("morula"),
        description="Whole-slide images in, labelled cells out. For research and education.",
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        docs_url=None,
        redoc_url=None,
    )
    for module in routers:
        app.include_router(module.router)
    contract.install(app)
    return app


@asynccontextmanager
async def _live(
    app: FastAPI,
    settings: GatewaySettings,
    ledger: Ledger,
    door: Door,
    connect: Callable[[], Workers],
    store: Store,
    *,
    conducts: bool,
) -> AsyncIterator[None]:
    """Everything that lives as long as the application; closed in the opposite order."""
    workers = connect()
    project = await ledger.patient.read(default_project)
    store = OwnStore(store, ledger, await ledger.patient.read(mark_of, project))
    views = Views(ledger, store)
    learning = Learning(ledger, workers, store, views)
    moving = Moving(ledger, views, learning)
    listeners = Listeners(ledger)
    here = app.state.components = Components(
        settings=settings,
        project=project,
        door=door,
        ledger=ledger,
        workers=workers,
        store=store,
        storage=Storage(store, settings.scratch, project),
        uploads=Uploads(settings.scratch, store_is_local=settings.store_is_local),
        numbers=Numbers(ledger),
        intake=Intake(ledger, workers, store, project),
        truths=Truths(ledger, workers, store, project),
        samples=TileSamples(ledger, workers, store, project),
        views=views,
        labelling=Labelling(ledger, store, views, learning),
        paging=Paging(workers, views, learning),
        moving=moving,
        listeners=listeners,
    )
    caretaker = Caretaker(settings, ledger.patient, store, project, lambda before: forget_ended(ledger.patient, before))

    async with AsyncExitStack() as closing:
        closing.push_async_callback(asyncio.to_thread, tracing.flush)
        closing.push_async_callback(workers.close)
        closing.push_async_callback(learning.close)
        closing.push_async_callback(door.close)
        await closing.enter_async_context(side_task("listeners", listeners.run))
        closing.push_async_callback(listeners.close)
        if conducts:
            await closing.enter_async_context(Conductor(settings, ledger, partial(_pipeline, here, learning)))
            # Ends before the conductor, because the engine's threads serve the loop.
            await closing.enter_async_context(side_task("caretaker", caretaker.run))
        yield


def _pipeline(here: Components, learning: Learning, held: HeldLedger) -> Pipeline:
    """What works on a job that is held."""
    settings = here.settings
    return Pipeline(
        Tools(held, here.workers, here.store, settings.scratch),
        here.views,
        learning,
        here.moving,
        settings.shards_in_flight,
        settings.max_failed_tile_share,
        settings.profile,
    )


def _operation_id(route: APIRoute) -> str:
    return route.name
