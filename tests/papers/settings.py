"""The page of all settings, from the classes that read them."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from morula.common.fetch_weights import FetchSettings
from morula.common.settings import ModelSettings, ServiceSettings, Settings
from morula.gateway.settings import GatewaySettings
from morula.networks.settings import NetworkSettings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"

HEAD = """\
# Settings
Each program reads its settings once, when it starts, from variables of its environment. This page is written by
`python -m tests.papers` from the classes that read them; a test fails where it differs. Secrets are cut out of every
log, trace, error and answer.

`morula serve`, `run` and `make demo` set these for the programs that they start, whatever the environment says, except
those in [operations](operations.md#on-one-machine).
"""
SECTIONS: tuple[tuple[str, type[Settings], type[Settings]], ...] = (
    ("Every service: tiler, segmenter, embedder, clusterer, labeller, evaluator", ServiceSettings, Settings),
    ("Segmenter, embedder and clusterer besides", ModelSettings, ServiceSettings),
    ("Segmenter and embedder besides", NetworkSettings, ModelSettings),
    ("The gateway", GatewaySettings, Settings),
    ("Who fetches weights: `python -m morula.common.fetch_weights`", FetchSettings, Settings),
)


def render() -> str:
    """The page's text."""
    return "\n".join([HEAD, *(_section(*section) for section in SECTIONS)])


def _section(title: str, settings: type[Settings], base: type[Settings]) -> str:
    fields = {name: field for name, field in settings.model_fields.items() if name not in base.model_fields}
    rows = [
        f"| `MORULA_{name.upper()}` | {_kind(field)} | {_default(field)} | {_words(field)} |"
        for name, field in fields.items()
    ]
    return "\n".join([f"## {title}", "| variable | value | default | meaning |", "|---|---|---|---|", *rows, ""])


def _words(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value in ("", {}):
        return "not set"
    return f"`{', '.join(sorted(value)) if isinstance(value, frozenset) else value}`"


def _kind(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(each, name)}" for each in field.metadata for name, sign in _BOUNDS if hasattr(each, name)
    ]
    return ", ".join([_named(field.annotation), *bounds])


_BOUNDS = (("ge", ">="), ("gt", ">"), ("le", "<="))
_NAMES = {
    bool: "`true` or `false`",
    str: "text",
    int: "whole number",
    float: "number",
    Path: "path",
    SecretStr: "secret text",
}


def _named(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_named(each) for each in arguments if each is not type(None))
    if origin in (dict, frozenset):
        return "JSON object" if origin is dict else "JSON list"
    return _NAMES[annotation]
