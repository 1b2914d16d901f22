"""`python -m morula.gateway [all|api|conductor|migrate|keys|sweep]`: brings the database up to date, and does its part.

`all` serves the API and conducts jobs, `api` and `conductor` do one of the two, `migrate` does neither. `keys` makes,
lists and revokes API keys, `sweep` finds what lies in the store and nothing names.
"""

import argparse
import sys
from socket import socket

import uvicorn
from fastapi import FastAPI

from morula.common.errors import MorulaError
from morula.common.models import add_rows
from morula.common.settings import Tls
from morula.common.store import Store, open_store
from morula.common.telemetry import configure
from morula.common.weights import WeightsFolder
from morula.gateway.app import Part, create_app
from morula.gateway.connection import Config, Connection
from morula.gateway.key_commands import add_commands
from morula.gateway.ledger import demand
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.migrate import OtherSchema, default_project, migrate
from morula.gateway.listening import prepare
from morula.gateway.own_store import OwnStore, mark_of
from morula.gateway.settings import GatewaySettings
from morula.gateway.sweep import sweep
from morula.gateway.workers import Absence, Addresses, Workers

ACCEPTED_AT_ONCE = 128
"""Connections that are opened before the first of them is counted: thousands would take all files at once."""
PARTS: dict[Part, str] = {
    "api": "serve the API; a conductor on the same database conducts the jobs",
    "conductor": "conduct jobs and clear up; over HTTP only health and numbers",
}


class Server(uvicorn.Server):
    """A server that stops without waiting for streams of events, which never end by themselves."""

    def __init__(self, app: FastAPI, settings: GatewaySettings) -> None:
        super().__init__(
            Config(
                app,
                host=settings.host,
                port=settings.port,
                http=Connection,
                log_config=None,
                access_log=False,
                server_header=False,
                ssl_certfile=settings.https_cert,
                ssl_keyfile=settings.https_key,
                forwarded_allow_ips=settings.forwarded_allow_ips,
                timeout_graceful_shutdown=settings.grace_s,
                backlog=ACCEPTED_AT_ONCE,
            )
        )
        self._app = app

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """End the streams of events, whose clients connect again elsewhere, then finish other requests."""
        await self._app.state.components.listeners.close()
        await super().shutdown(sockets)


def main() -> None:
    """Read the settings and run."""
    asked = _arguments()
    settings = GatewaySettings()
    configure("gateway", settings.log_level)
    if settings.weights_dir:
        add_rows(WeightsFolder(settings.weights_dir).rows())
    try:
        migrate(settings.database_url.get_secret_value())
    except OtherSchema as error:
        sys.exit(str(error))
    asked.run(settings, asked)


def _arguments() -> argparse.Namespace:
    """What was asked for; `run` does it, once the database is up to date."""
    parser = argparse.ArgumentParser(prog="morula.gateway")
    parser.set_defaults(run=lambda settings, _: serve(settings, "all"))
    verbs = parser.add_subparsers()
    verbs.add_parser("all", help="serve the API and conduct jobs; so it is where nothing is said")
    for part, about in PARTS.items():
        verbs.add_parser(part, help=about).set_defaults(run=lambda settings, _, part=part: serve(settings, part))
    verbs.add_parser("migrate", help="bring the database up to date").set_defaults(run=lambda *_: None)
    clearing = verbs.add_parser("sweep", help="count what lies in the store and nothing names")
    clearing.add_argument("--delete", action="store_true", help="delete it, too")
    clearing.add_argument("--alone", action="store_true", help="no other database uses the store any more")
    clearing.set_defaults(run=lambda settings, asked: clear(settings, delete=asked.delete, alone=asked.alone))
    add_commands(verbs)
    return parser.parse_args()


def clear(settings: GatewaySettings, *, delete: bool, alone: bool) -> None:
    """Find objects that no row names, and delete them if asked to."""
    ledger = Ledger(settings.database_url.get_secret_value())
    try:
        with ledger.reading() as tx:
            project = default_project(tx)
            store = OwnStore(connect_store(settings), ledger, mark_of(tx, project))
        sys.stdout.write(f"{sweep(ledger, store, project, delete=delete, alone=alone)}\n")
    except MorulaError as error:
        sys.exit(str(error))
    finally:
        ledger.close()


def serve(settings: GatewaySettings, part: Part) -> None:
    """Serve until told to stop."""
    if part != "all" and settings.database_url.get_secret_value().startswith("sqlite"):
        sys.exit("API and conductor are processes of their own on PostgreSQL only: with SQLite say `all`.")
    store = connect_store(settings)
    ledger = Ledger(settings.database_url.get_secret_value())
    try:
        if part != "conductor":  # It answers probes alone.
            prepare(settings, ledger)
        Server(create_app(settings, ledger, lambda: connect(settings, ledger), store, part), settings).run()
    except MorulaError as error:
        sys.exit(str(error))
    finally:
        ledger.close()


def connect_store(settings: GatewaySettings) -> Store:
    """The store that the settings name."""
    return open_store(
        settings.store_url.get_secret_value(),
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
        cache_dir=settings.cache_dir,
    )


def connect(settings: GatewaySettings, ledger: Ledger) -> Workers:
    """Channels to the services that the settings name."""
    addresses = Addresses(
        tiler=settings.tiler_address,
        segmenter=settings.segmenter_address,
        embedder=settings.embedder_address,
        clusterer=settings.clusterer_address,
        labeller=settings.labeller_address,
        evaluator=settings.evaluator_address,
    )
    certificates = (settings.tls_cert, settings.tls_key, settings.tls_ca)
    tls = Tls(*certificates) if any(certificates) else None
    absence = Absence(
        lambda service: ledger.write(demand.note, service), settings.away_patience_s, settings.gpu_services
    )
    token = settings.token.get_secret_value() if settings.token else None
    return Workers(addresses, token=token, tls=tls, absence=absence)


if __name__ == "__main__":
    main()
