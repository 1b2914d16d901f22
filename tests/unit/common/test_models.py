"""The registry is data, and nothing in it is ever substituted."""

from dataclasses import replace

import pytest

from morula.common.errors import ModelUnavailable
from morula.common.models import REGISTRY, find, resolve


def test_names_are_unique_per_task() -> None:
    rows = [(spec.task, spec.name) for spec in REGISTRY]
    assert len(set(rows)) == len(rows)
    assert {"watershed", "morphology"} <= {spec.name for spec in REGISTRY}


def test_a_revision_follows_every_number_of_the_row() -> None:
    spec = find("watershed", "segmenter")
    assert len(spec.revision) == 64
    assert replace(spec).revision == spec.revision
    changed = [replace(spec, mpp=0.25), replace(spec, shard_tile_count=8), replace(spec, licence="MIT")]
    assert len({spec.revision, *(row.revision for row in changed)}) == 4


def test_weights_are_their_own_revision() -> None:
    assert replace(find("watershed", "segmenter"), weights_sha256="f" * 64).revision == "f" * 64


def test_exactly_the_revision_asked_for_is_resolved() -> None:
    spec = find("morphology", "embedder")
    assert resolve("morphology", spec.revision, "embedder") is spec


@pytest.mark.parametrize(
    ("name", "revision"),
    [
        ("watershed", "0" * 64),
        ("watershed", ""),
        ("cellpose", "0" * 64),
        ("morphology", find("morphology", "embedder").revision),
    ],
)
def test_everything_else_is_unavailable(name: str, revision: str) -> None:
    with pytest.raises(ModelUnavailable):
        resolve(name, revision, "segmenter")


@pytest.mark.parametrize(
    "change",
    [
        {"shard_tile_count": 0},
        {"shard_tile_count": 257},
        {"columns": ("a",)},
        {"columns": ("a",), "location": (0.0,), "scale": (0.0,)},
    ],
)
def test_a_row_that_contradicts_itself_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        replace(find("watershed", "segmenter"), **change)  # type: ignore[arg-type]
