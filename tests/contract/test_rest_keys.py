"""Keys: who has none learns nothing, each scope opens what it says, and browsers sign in."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import iter_route_contexts

from morula.common.testing import write_slide
from morula.gateway import listeners
from morula.gateway.api_keys import days_from_now, digest_of, new_key, prefix_of
from morula.gateway.ledger import api_keys
from morula.gateway.scopes import SCOPES
from tests.contract.rest_world import check_problem
from tests.servers.gateway import MAKERS, Client, as_part, gateway, services

pytestmark = pytest.mark.asyncio(loop_scope="module")
OPEN = {"/healthz", "/readyz", "/metrics", "/version", "/v1/session"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A gateway that asks for keys; nothing answers behind it."""
    root = tmp_path_factory.mktemp("keys")
    async with services(root, without=tuple(MAKERS)) as none, gateway(none, root, require_keys=True) as client:
        yield client


async def key_for(client: Client, *scopes: str, name: str | None = None, days: float | None = None) -> dict[str, str]:
    """The header of a key that was made for this."""
    key, called = new_key(), name or "-".join(scopes)
    made = (client.components.project, called, digest_of(key), prefix_of(key), scopes, days_from_now(days))
    await client.ledger.write(api_keys.create_key, *made)
    return {"authorization": f"Bearer {key}"}


def all_operations(client: Client) -> list[tuple[str, str, dict[str, Any]]]:
    transport: Any = client.http._transport
    paths = transport.app.openapi()["paths"]
    return [(path, method, operation) for path, methods in paths.items() for method, operation in methods.items()]


async def test_every_operation_needs_the_one_scope_that_its_description_names(asking: Client) -> None:
    keys = {scope: await key_for(asking, scope) for scope in SCOPES}
    others = {scope: await key_for(asking, *(set(SCOPES) - {scope}), name=f"not {scope}") for scope in SCOPES}
    for path, method, operation in all_operations(asking):
        if path in OPEN:
            assert operation["security"] == []
            continue
        (scope,) = operation["security"][0]["key"]

        async def ask(
            key: dict[str, str] | None, path: str = path, method: str = method, stops: bool = False
        ) -> httpx.Response:
            return await asking.http.request(method, path.replace("{", "").replace("}", ""), headers=key)

        refused = await ask(None)
        check_problem(refused, 401, "UNAUTHENTICATED")
        assert refused.headers["www-authenticate"] == "Bearer", path
        check_problem(await ask(others[scope]), 403, "PERMISSION_DENIED")
        if path != "/v1/events":  # It never ends.
            assert (await ask(keys[scope])).status_code not in (401, 403), f"{method} {path}"


async def test_no_operation_is_left_out_of_the_description(asking: Client) -> None:
    transport: Any = asking.http._transport
    described = {(path, method.upper()) for path, method, _ in all_operations(asking)}
    routes = iter_route_contexts(transport.app.routes)
    served = {
        (one.path, method)
        for one in routes
        if one.path not in (None, "/openapi.json", "")
        for method in one.methods or ()
    }
    assert served == described


async def test_two_keys_of_a_name_live_side_by_side_and_a_revoked_one_is_out(asking: Client) -> None:
    admin = await key_for(asking, "admin", name="operator")
    wanted = {"name": "scanner", "scopes": ["read"], "expires_days": 30}

    async def make() -> httpx.Response:
        return await asking.http.post("/v1/keys", json=wanted, headers=admin)

    first, second = asking.ok(await make()), asking.ok(await make())
    assert check_problem(await make(), 409, "ALREADY_EXISTS")["detail"].startswith("There are two live keys")
    header = {"authorization": f"bearer {first['key']}"}
    assert (await asking.http.get("/v1/slides", headers=header)).status_code == 200
    revoked = asking.ok(await asking.http.delete(f"/v1/keys/{first['id']}", headers=admin))
    assert revoked["revoked_at"]
    assert (
        "revoked"
        in check_problem(await asking.http.get("/v1/slides", headers=header), 401, "UNAUTHENTICATED")["detail"]
    )
    asking.ok(await make())

    await asking.components.door.close()  # Uses are noted beside the requests.
    listed = await asking.http.get("/v1/keys", headers=admin)
    told = {key["id"]: key for key in asking.ok(listed)["keys"]}
    assert told[first["id"]]["last_used_at"]
    assert (told[second["id"]]["last_used_at"], told[second["id"]]["prefix"]) == (None, second["key"][:13])
    assert second["key"] not in listed.text
    assert digest_of(second["key"]) not in listed.text


async def test_names_of_keys_that_look_alike_are_one(asking: Client) -> None:
    admin = await key_for(asking, "admin", name="names")

    async def make(name: str) -> httpx.Response:
        return await asking.http.post("/v1/keys", json={"name": name, "scopes": ["read"]}, headers=admin)

    assert {asking.ok(await make(name))["name"] for name in (" Jo\u0308rg  M", "J\u00f6rg\u00a0M ")} == {"J\u00f6rg M"}
    check_problem(await make("J\u00f6rg M"), 409, "ALREADY_EXISTS")
    for unseen in ("J\u00f6rg M\u200f", "\u202eM gr\u00f6J", "J\u200b\u00f6rg M", " ", "\u2060"):
        check_problem(await make(unseen), 422, "INVALID_ARGUMENT")


async def test_what_is_no_key_any_more_or_never_was_lets_nobody_in(
    asking: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    expired = await key_for(asking, *SCOPES, name="old", days=-1)
    unknown = {"authorization": f"Bearer {new_key()}"}
    for header in (
        expired,
        unknown,
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer"},
        {"cookie": "morula_key=x"},
    ):
        check_problem(await asking.http.get("/v1/slides", headers=header), 401, "UNAUTHENTICATED")
    said = "".join(capsys.readouterr())
    assert said.count("key refused") == 4, "a header of another scheme brings no key"
    assert unknown["authorization"].split()[1] not in said


async def test_a_stream_ends_with_the_key_that_opened_it(asking: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "ASK_AGAIN_S", 0.05)
    header = await key_for(asking, "read", name="listener")
    digest = digest_of(header["authorization"].split()[1])
    stream = asyncio.create_task(asking.http.get("/v1/events", headers=header))
    while not (key := await asking.ledger.read(api_keys.find_key, digest)) or not key["last_used_at"]:
        assert not stream.done()
    await asking.ledger.write(api_keys.revoke_key, key["id"])
    async with asyncio.timeout(10):
        assert (await stream).status_code == 200


async def test_who_only_looks_is_let_in_where_nothing_can_be_written(asking: Client) -> None:
    header = await key_for(asking, "read", name="reader")
    with closing(sqlite3.connect(str(asking.ledger.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert (await asking.http.get("/v1/slides", headers=header)).status_code == 200
    await asking.components.door.close()


async def test_probes_are_answered_under_any_name(asking: Client) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await asking.http.get(path, headers={"host": "10.1.2.3:8610"})).status_code == 200
    elsewhere = {"host": "10.1.2.3:8610", "origin": "http://10.1.2.3:8610"}
    check_problem(await asking.http.get("/metrics", headers=elsewhere), 403, "PERMISSION_DENIED")


async def test_a_browser_signs_in_and_out_and_only_this_page_acts_for_it(asking: Client) -> None:
    key = (await key_for(asking, "read", "label", name="Anna"))["authorization"].split()[1]
    page = {"origin": "http://127.0.0.1"}
    assert asking.ok(await asking.http.get("/v1/session"))["name"] is None
    check_problem(await asking.http.post("/v1/session", json={"key": new_key()}), 401, "UNAUTHENTICATED")
    signed_in = await asking.http.post("/v1/session", json={"key": key}, headers=page)
    assert asking.ok(signed_in) == {"asks_for_key": True, "name": "Anna", "scopes": ["label", "read"]}
    cookie = signed_in.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    try:
        assert (await asking.http.get("/v1/slides")).status_code == 200
        body = {"name": "Mine"}
        check_problem(await asking.http.post("/v1/label-sets", json=body), 403, "PERMISSION_DENIED")
        strange = {"origin": "http://evil.example"}
        check_problem(await asking.http.post("/v1/label-sets", json=body, headers=strange), 403, "PERMISSION_DENIED")
        asking.ok(await asking.http.post("/v1/label-sets", json=body, headers=page))
        assert (await asking.http.delete("/v1/session", headers=page)).status_code == 204
        check_problem(await asking.http.get("/v1/slides"), 401, "UNAUTHENTICATED")
    finally:
        asking.http.cookies.clear()


async def test_a_service_that_refuses_the_gateway_signs_nobody_out(tmp_path: Path) -> None:
    write_slide(tmp_path / "a.tiff", 640, 512)
    async with services(tmp_path, without=tuple(MAKERS)) as running:
        await running.start("tiler", token="another")
        async with gateway(running, tmp_path) as client:
            answer = await client.http.post("/v1/slides", files=as_part(tmp_path / "a.tiff"))
    assert "The tiler refuses the gateway" in check_problem(answer, 503, "UNAVAILABLE")["detail"]
