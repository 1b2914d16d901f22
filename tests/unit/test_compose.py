"""One server by `deploy/compose.yaml`: what it names is there, and nobody else is let in by itself."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from morula.common.settings import ServiceSettings
from morula.gateway.settings import GatewaySettings
from morula.networks.settings import NetworkSettings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = {name: service for name, service in SERVICES.items() if "${MORULA_IMAGES" in service["image"]}


def test_images_are_those_that_are_built_in_the_version_of_the_code() -> None:
    built = re.search(r'^all="(.+)"$', (ROOT / "scripts" / "images").read_text("utf-8"), re.MULTILINE)
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert built
    assert version
    for service in OURS.values():
        image = re.fullmatch(r"\$\{MORULA_IMAGES:-localhost/morula\}-(.+):\$\{MORULA_VERSION:-(.+)\}", service["image"])
        assert image
        assert image[1] in built[1].split()
        assert image[2] == version[1]


def test_every_variable_is_a_setting_and_every_address_a_service() -> None:
    for name, service in OURS.items():
        settings = set((GatewaySettings if name == "gateway" else NetworkSettings).model_fields)
        variables = dict(service["environment"])
        assert find_spec(variables.pop("MORULA_MODULE", f"morula.{name}"))
        assert {variable.removeprefix("MORULA_").lower() for variable in variables} <= settings
    called = {name: value for name, value in OURS["gateway"]["environment"].items() if name.endswith("_ADDRESS")}
    assert called == {f"MORULA_{name.upper()}_ADDRESS": f"dns:///{name}:50051" for name in set(OURS) - {"gateway"}}
    assert set(OURS) == {"gateway", "tiler", "segmenter", "embedder", "clusterer", "labeller", "evaluator"}


def test_every_secret_is_written_for_it() -> None:
    wanted = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert wanted == set(re.findall(r'echo "(\w+)=', (ROOT / "scripts" / "secrets").read_text("utf-8")))


def test_only_this_machine_reaches_it_and_nothing_writes_to_its_root() -> None:
    assert [service["ports"] for service in SERVICES.values() if "ports" in service] == [
        ["127.0.0.1:${MORULA_PORT:-8610}:8610"]
    ]
    for service in OURS.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]


def test_a_worker_may_finish_what_it_has_when_it_is_stopped() -> None:
    for name, service in OURS.items():
        if name != "gateway":
            assert int(service["stop_grace_period"].removesuffix("s")) > ServiceSettings().grace_s, name
