"""`python -m morula.gateway keys create|list|revoke`: keys from where the database is, the first one among them."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pydantic import ValidationError
from sqlalchemy import Connection

from morula.common.errors import MorulaError
from morula.gateway.api_keys import days_from_now, digest_of, new_key, prefix_of
from morula.gateway.key_schemas import NewKey
from morula.gateway.ledger import api_keys
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.ids import now
from morula.gateway.ledger.migrate import default_project
from morula.gateway.ledger.records import Record, Slice
from morula.gateway.lists import LIMIT
from morula.gateway.scopes import MEANINGS, SCOPES
from morula.gateway.settings import GatewaySettings


def add_commands(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The verb `keys` with what it can do."""
    what = verbs.add_parser("keys", help="make, list and revoke API keys").add_subparsers(required=True)
    making = what.add_parser("create", help="make a key and print it, this once")
    making.add_argument("--name", required=True, help="who or what will use it")
    meanings = "; ".join(f"{scope}: {meaning}" for scope, meaning in MEANINGS.items())
    making.add_argument("--scope", action="append", required=True, choices=SCOPES, help=f"once for each. {meanings}")
    making.add_argument("--expires-days", type=float, help="how long it lets somebody in; else it never expires")
    making.set_defaults(run=_create)
    what.add_parser("list", help="all keys, newest first, without their texts").set_defaults(run=_list)
    revoking = what.add_parser("revoke", help="let nobody in with a key any more")
    revoking.add_argument("id", help="as `keys list` shows it")
    revoking.set_defaults(run=_revoke)


@contextmanager
def _writing(settings: GatewaySettings) -> Iterator[Connection]:
    ledger = Ledger(settings.database_url.get_secret_value())
    try:
        with ledger.writing() as tx:
            yield tx
    except MorulaError as error:
        sys.exit(str(error))
    finally:
        ledger.close()


def _create(settings: GatewaySettings, asked: argparse.Namespace) -> None:
    try:
        wanted = NewKey(name=asked.name, scopes=frozenset(asked.scope), expires_days=asked.expires_days)
    except ValidationError as error:
        sys.exit("\n".join(f"--{problem['loc'][0]}: {problem['msg']}".replace("_", "-") for problem in error.errors()))
    text = new_key()
    with _writing(settings) as tx:
        expires_at = days_from_now(wanted.expires_days)
        made = (wanted.name, digest_of(text), prefix_of(text), wanted.scopes, expires_at)
        row = api_keys.create_key(tx, default_project(tx), *made)
    sys.stdout.write(f"{text}\n")
    sys.stderr.write(f"This is key {row['id']}. Its text is kept nowhere: put it away now.\n")


def _list(settings: GatewaySettings, _asked: argparse.Namespace) -> None:
    with _writing(settings) as tx:
        rows = api_keys.list_keys(tx, default_project(tx), Slice(LIMIT)).rows
    for row in rows:
        scopes = ",".join(row["scopes"])
        last_used = f"last used {_day(row['last_used_at'])}" if row["last_used_at"] else "never used"
        sys.stdout.write(f"{row['id']}  {row['prefix']}…  {row['name']}  {scopes}  {last_used}  {_state(row)}\n")


def _state(row: Record) -> str:
    if row["revoked_at"]:
        return f"revoked {_day(row['revoked_at'])}"
    if row["expires_at"] is None:
        return "never expires"
    return f"{'expired' if row['expires_at'] <= now() else 'expires'} {_day(row['expires_at'])}"


def _day(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d}"


def _revoke(settings: GatewaySettings, asked: argparse.Namespace) -> None:
    with _writing(settings) as tx:
        row = api_keys.revoke_key(tx, asked.id)
    sys.stdout.write(f"{row['name']} ({row['prefix']}…) lets nobody in any more\n")
