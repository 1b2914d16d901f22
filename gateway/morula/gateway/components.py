"""The parts that a running application is made of, and how an endpoint gets them."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from morula.common.store import Store
from morula.gateway.door import LOCAL, Door, Identity, remembered
from morula.gateway.intake import Intake
from morula.gateway.labels.moving import Moving
from morula.gateway.labels.paging import Paging
from morula.gateway.labels.service import Labelling
from morula.gateway.ledger.engine import Ledger
from morula.gateway.listeners import Listeners
from morula.gateway.numbers import Numbers
from morula.gateway.samples.service import TileSamples
from morula.gateway.scopes import SCOPES
from morula.gateway.settings import GatewaySettings
from morula.gateway.storage import Storage
from morula.gateway.truths import Truths
from morula.gateway.uploads import Uploads
from morula.gateway.views import Views
from morula.gateway.workers import Workers


@dataclass(frozen=True)
class Components:
    """The parts of a running application that endpoints work with."""

    settings: GatewaySettings
    project: str
    door: Door
    ledger: Ledger
    workers: Workers
    store: Store
    storage: Storage
    numbers: Numbers
    uploads: Uploads
    intake: Intake
    truths: Truths
    samples: TileSamples
    views: Views
    labelling: Labelling
    paging: Paging
    moving: Moving
    listeners: Listeners


def _components(connection: HTTPConnection) -> Components:
    return cast(Components, connection.app.state.components)


Here = Annotated[Components, Depends(_components)]
"""What an endpoint declares to be given them."""


def _who(connection: HTTPConnection, here: Here) -> Identity:
    return remembered(connection) or Identity(here.project, LOCAL, frozenset(SCOPES), is_known=False)


Who = Annotated[Identity, Depends(_who)]
"""What an endpoint declares to be told who asks."""
