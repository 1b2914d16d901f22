"""The registry is data, and nothing in it is ever substituted."""

import json
from dataclasses import dataclass, fields, replace

import pytest

from morula.common.errors import LicenceForbids, ModelUnavailable
from morula.common.models import (
    FAMILIES,
    NO_PART_OF_REVISION,
    REGISTRY,
    SCALES,
    Commercial,
    Description,
    ModelSpec,
    find,
    resolve,
)


def test_names_are_unique_per_task() -> None:
    rows = [(spec.task, spec.name) for spec in REGISTRY]
    assert len(set(rows)) == len(rows)
    assert {"morula-nuclei", "watershed", "morphology"} <= {spec.name for spec in REGISTRY}


REVISIONS = {
    "imported": "1bdf35b79b69f03d25d162634964b5768fd973e6f3355e67e3da6c5204cf7445",
    "morula-nuclei-features": "70a52bf95f4793975030dc6d7d9609a6e0daa7f8a22dea823046fd4cb387872e",
    "watershed": "a994837246f597e1ae4d31a75576b3336a9c69c98123dc7e898e058d0ff061ef",
    "morphology": "ecd0300a30659dc653a5e04d4ae0f88531cf03cb41c7d68ec1ea583b03e846ed",
    "morphology-ihc": "d68d92f06f73a53d7302554f0797c427ce108122e4ccdb4cfe5933a0da9e6494",
    "morphology-fluorescence": "1fbc51b1fc60649c865f1df0bc9366a591989d5e1c7b2d0ed253cddc6dd468ef",
    "morphology-plain": "ab83f27cddf0c0a260b307be5b054d27eed8dcfecffd0646432681ae48da5a48",
}


def test_features_are_scaled_as_the_network_that_ships_says_them() -> None:
    """Another network's features mean something else: their scale, and with it their revision, is then another."""
    fitted = json.loads((SCALES / "morula-nuclei-features.json").read_text(encoding="utf-8"))
    assert fitted["network_sha256"] == dict(find("morula-nuclei", "segmenter").files)["network"]


OTHER: dict[str, object] = {
    "task": "embedder",
    "object_kind": "component",
    "mpp": 0.25,
    "object_um": 9.0,
    "channels": ("gray",),
    "family": "cellpose-unet",
    "files": (("network", "f" * 64),),
    "columns": ("a",),
    "location": (0.0,),
    "scale": (1.0,),
    "segmenter": "watershed",
    "window_um": 24.0,
    "context_um": 48.0,
    "backbone": "resnet18",
    "mean": (0.5,) * 3,
    "std": (0.25,) * 3,
    "picture_px": 160,
    "code_revision": 2,
}
"""Another value of each field that changes results."""


def test_every_field_is_of_the_revision_or_expressly_not() -> None:
    assert OTHER.keys() ^ NO_PART_OF_REVISION == {field.name for field in fields(ModelSpec)}


@pytest.mark.parametrize("name", OTHER)
def test_what_changes_results_changes_the_revision(name: str) -> None:
    spec = replace(find("watershed", "segmenter"), columns=("b",), location=(1.0,), scale=(2.0,))
    assert len(spec.revision) == 64
    assert replace(spec).revision == spec.revision
    assert replace(spec, **{name: OTHER[name]}).revision != spec.revision  # type: ignore[arg-type]


@pytest.mark.parametrize("spec", [*REGISTRY, *FAMILIES], ids=lambda spec: spec.name)
def test_words_about_a_model_and_the_size_of_its_shards_change_no_revision(spec: ModelSpec) -> None:
    description = Description(licence="MIT", trained_on="other images", commercial="yes")
    other = replace(spec, name="other", description=description, shard_tile_count=8, dtypes=("float32", "float64"))
    assert other.revision == spec.revision


@dataclass(frozen=True)
class Wordier(Description):
    citation: str = "doi:10.1/1"


@dataclass(frozen=True)
class Grown(ModelSpec):
    stride_um: float = 0.0


def test_new_words_and_new_fields_change_the_revision_of_no_model_that_is_as_before() -> None:
    for spec in REGISTRY:
        values = {field.name: getattr(spec, field.name) for field in fields(spec)}
        words = {field.name: getattr(spec.description, field.name) for field in fields(spec.description)}
        grown = Grown(**{**values, "description": Wordier(**words)})
        assert grown.revision == spec.revision
        assert replace(grown, stride_um=32.0).revision != spec.revision


def test_the_revisions_of_what_is_always_there_are_known() -> None:
    """Each is in the keys of all that was made with it: a change makes everything anew, and is meant."""
    assert {spec.name: spec.revision for spec in REGISTRY if not spec.is_network} == REVISIONS


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


def test_who_asks_for_another_revision_is_told_what_to_do() -> None:
    with pytest.raises(ModelUnavailable, match="start a new job"):
        resolve("watershed", "0" * 64, "segmenter")


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


@pytest.mark.parametrize(("commercial", "says"), [("no", "do not allow"), ("unclear", "are not known to allow")])
def test_what_is_not_clearly_allowed_is_refused_commercially_and_free_for_research(
    commercial: Commercial, says: str
) -> None:
    row = replace(FAMILIES[0], description=Description("CC BY-NC 4.0", "slides", commercial))
    row.check_use("research")
    replace(row, description=replace(row.description, commercial="yes")).check_use("commercial")
    with pytest.raises(LicenceForbids, match=f"{row.name} is refused .*CC BY-NC 4.0.*slides.*{says}"):
        row.check_use("commercial")
