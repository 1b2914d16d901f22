"""Where the gateway listens, and what has to be true before others than this machine may reach it."""

import ssl
from pathlib import Path

from sqlalchemy import Connection

from morula.common.errors import FailedPrecondition, InvalidArgument
from morula.common.telemetry import log
from morula.gateway.api_keys import keep_first_key
from morula.gateway.ledger.api_keys import has_live_key
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.migrate import default_project
from morula.gateway.scopes import SCOPES
from morula.gateway.settings import GatewaySettings

HOW = f"python -m morula.gateway keys create --name first {' '.join(f'--scope {scope}' for scope in SCOPES)}"


def prepare(settings: GatewaySettings, ledger: Ledger) -> None:
    """Let the first key in, and raise where nobody could be let in or settings do not fit."""
    _check_certificate(settings.https_cert, settings.https_key)
    with ledger.writing() as tx:
        if settings.first_key is not None:
            keep_first_key(tx, default_project(tx), settings.first_key.get_secret_value())
        if settings.asks_for_keys:
            _check_keys(tx, settings)
    if settings.is_reachable:
        _warn(settings)


def _check_keys(tx: Connection, settings: GatewaySettings) -> None:
    if not has_live_key(tx):
        why = "MORULA_REQUIRE_KEYS asks for keys" if settings.require_keys else f"{settings.host} is beyond loopback"
        raise FailedPrecondition(f"{why}, and there is no live key yet: give one by MORULA_FIRST_KEY, or run `{HOW}`.")


def _check_certificate(certificate: Path | None, key: Path | None) -> None:
    if (certificate is None) != (key is None):
        raise InvalidArgument("MORULA_HTTPS_CERT and MORULA_HTTPS_KEY belong together: name both, or none.")
    if certificate is None or key is None:
        return
    try:
        # The passphrase keeps the library from asking a terminal for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise InvalidArgument(f"MORULA_HTTPS_CERT and MORULA_HTTPS_KEY cannot be used: {error}.") from error


def _warn(settings: GatewaySettings) -> None:
    """What works, and is hardly what is wanted."""
    fields = type(settings).model_fields
    if settings.https_cert is None and settings.forwarded_allow_ips == fields["forwarded_allow_ips"].default:
        log.warning(
            "keys and pictures travel unencrypted: anybody on the way can read them",
            host=settings.host,
            remedy="MORULA_HTTPS_CERT and MORULA_HTTPS_KEY, or a proxy that ends TLS and MORULA_FORWARDED_ALLOW_IPS",
        )
    if settings.allowed_hosts == fields["allowed_hosts"].default:
        log.warning(
            "nobody can reach this server by a name yet: it answers only as this machine",
            remedy="name it in MORULA_ALLOWED_HOSTS",
        )
