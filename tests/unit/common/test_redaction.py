"""What is known to be secret is cut out of every text, however it is written there."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from morula.common import redaction
from morula.common.errors import InvalidArgument
from morula.common.redaction import keep_secret, keep_url_secret, redact
from morula.common.settings import ServiceSettings


@pytest.fixture(autouse=True)
def _known_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_forms", set())
    monkeypatch.setattr(redaction, "_pattern", None)


SECRET = 'pa/ss "word" + ö'


@pytest.mark.parametrize("written", [SECRET, json.dumps({"a": SECRET}), repr([SECRET]), quote(SECRET, safe="")])
def test_a_secret_is_cut_out_however_it_is_escaped(written: str) -> None:
    keep_secret(SECRET)
    assert "word" not in redact(f"before {written} after")
    assert redact("before and after") == "before and after"


def test_a_key_of_the_api_is_cut_out_by_its_form_alone() -> None:
    key = f"morula_{'aB3-_' * 8}abc"
    assert redact(f"/v1/jobs/{key}?x={key} of morula_aB3-_a") == "/v1/jobs/[secret]?x=[secret] of morula_aB3-_a"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://morula:hidden-one@db:5432/morula",
        "postgresql+psycopg://morula:hidden-one/with#all?of@it@db:5432/morula",
        "postgresql://db/morula?user=morula&password=hidden-one",
        "s3://bucket?endpoint=http://user:hidden-one@store:9000",
        "s3://bucket?endpoint=http%3A%2F%2Fuser%3Ahidden-one%40store%3A9000",
    ],
)
def test_the_password_of_a_url_is_a_secret_and_the_rest_is_not(url: str) -> None:
    keep_url_secret(url)
    assert "hidden" not in redact(f"cannot connect to {url}")
    assert (
        redact("cannot connect to db:5432/morula of user morula") == "cannot connect to db:5432/morula of user morula"
    )


def test_a_url_without_a_password_keeps_nothing() -> None:
    keep_url_secret("sqlite:////var/lib/morula/morula.db")
    assert redact("sqlite:////var/lib/morula/morula.db") == "sqlite:////var/lib/morula/morula.db"


def test_what_settings_call_secret_is_in_no_error_from_then_on() -> None:
    ServiceSettings.model_validate({"token": "hidden-token", "store_url": "s3://b?endpoint=http://u:hidden-key@h"})
    error = InvalidArgument("hidden-token is no key", key="hidden-key")
    assert "hidden" not in f"{error} {error.metadata} {error.args}"
