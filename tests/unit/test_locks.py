"""Every image holds what its service imports: no service leans on another one's packages."""

from __future__ import annotations

import ast
import json
import re
import sys
from functools import cache
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (ROOT / "services", ROOT / "gateway", ROOT / "protos" / "gen")
LOCKED = re.compile(r"^([a-z0-9._-]+)(?:\[.*\])?==", re.MULTILINE)


def module_files(package: str) -> list[Path]:
    folder = Path(*package.split("."))
    return [path for source in SOURCES for path in (source / folder).rglob("*.py")]


def file_of(module: str) -> Path | None:
    path = Path(*module.split("."))
    candidates = [source / file for source in SOURCES for file in (path.with_suffix(".py"), path / "__init__.py")]
    return next((file for file in candidates if file.is_file()), None)


@cache
def imports(file: Path) -> frozenset[str]:
    """Modules that a file imports when it runs; `from a import b` may mean the module a.b."""
    names: set[str] = set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not _is_for_types_only(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def _is_for_types_only(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def outside_imports(package: str) -> set[str]:
    """Top-level packages from elsewhere that a service reaches."""
    waiting, seen, outside = module_files(package), set[Path](), set[str]()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in imports(file):
            if name.startswith("morula."):
                waiting += [found for found in [file_of(name)] if found]
            else:
                outside.add(name.split(".")[0])
    return {name for name in outside if name not in sys.stdlib_module_names and find_spec(name)}


def missing(service: str, lock: str) -> set[str]:
    """What a service imports, at the latest when it is asked, and a lock does not hold."""
    locked = set(LOCKED.findall((ROOT / "locks" / f"{lock}.txt").read_text()))
    distributions = packages_distributions()
    return {
        name
        for name in outside_imports(f"morula.{service}")
        if not {re.sub(r"[-_.]+", "-", dist).lower() for dist in distributions[name]} & locked
    }


@pytest.mark.parametrize("service", ["tiler", "evaluator", "gateway"])
def test_a_service_imports_only_what_its_lock_holds(service: str) -> None:
    assert not missing(service, service)


def test_of_what_the_segmenter_imports_only_torch_may_be_missing() -> None:
    assert not missing("segmenter", "segmenter-torch")
    assert missing("segmenter", "segmenter") == {"torch", "cellpose"}


def test_of_what_the_clusterer_imports_only_the_paper_s_packages_may_be_missing() -> None:
    assert not missing("clusterer", "clusterer-paper")
    assert missing("clusterer", "clusterer") == {"umap", "kneed", "numba"}


def test_of_what_the_embedder_imports_only_torch_may_be_missing() -> None:
    assert not missing("embedder", "embedder-torch")
    assert missing("embedder", "embedder") | {"timm"} == {"torch", "torchvision", "timm"}


def test_every_lock_of_a_service_is_built_as_an_image_that_the_chart_takes() -> None:
    services = {"tiler", "segmenter", "embedder", "clusterer", "evaluator", "gateway"}
    locks = {path.stem for path in (ROOT / "locks").glob("*.txt") if path.stem.split("-")[0] in services}
    built = re.search(r'^all="(.+)"$', (ROOT / "scripts" / "images").read_text("utf-8"), re.MULTILINE)
    assert built
    assert set(built[1].split()) == locks | {"onebox"}
    component = json.loads((ROOT / "deploy" / "chart" / "values.schema.json").read_text("utf-8"))["definitions"][
        "component"
    ]
    assert {*component["properties"]["image"]["properties"]["name"]["enum"]} == locks | {""}


@pytest.mark.parametrize("lock", sorted((ROOT / "locks").glob("*.txt")), ids=lambda path: path.stem)
def test_locks_hold_hashes_and_no_addresses(lock: Path) -> None:
    text = lock.read_text()
    assert "--hash=sha256:" in text
    assert not re.search(r"https?://|--index|--find-links", text)
