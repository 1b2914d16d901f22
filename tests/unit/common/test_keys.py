"""Keys are digests of all that determines an artifact, and no key leads out of a store."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morula.common.errors import InvalidArgument, KeyInvalid
from morula.common.keys import (
    STAGE_REVISIONS,
    artifact_key,
    canonical_json,
    cell_id,
    cell_namespace,
    slide_digest,
    validate_key,
)

FILES = [("CMU-1.mrxs", "a" * 64, 10), ("CMU-1/Slidedat.ini", "b" * 64, 20)]


def key(**changes: object) -> str:
    given_ = {"inputs": ["p/s/plan/x.parquet"], "params": {"mpp": 0.5, "tile_px": 512}, "model": ("watershed", "r1")}
    return artifact_key("p", "s", "cells", "parquet", **{**given_, **changes})  # type: ignore[arg-type]


def test_golden_key() -> None:
    # Changes here mean that every artifact ever made is made again: raise a stage's revision instead.
    assert key() == "p/s/cells/dab545d7e22d0d143dc884b1eafb0f63ede4ab4995a11a17d3831b2f5c274f79.parquet"


def test_everything_that_determines_an_artifact_is_in_its_key() -> None:
    variants = [
        key(),
        key(inputs=["p/s/plan/y.parquet"]),
        key(inputs=["p/s/plan/x.parquet", "p/s/plan/x.parquet"]),
        key(params={"mpp": 0.25, "tile_px": 512}),
        key(params={"mpp": 0.5}),
        key(model=("watershed", "r2")),
        key(model=None),
    ]
    assert len(set(variants)) == len(variants)


def test_a_stage_s_revision_is_in_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setitem(STAGE_REVISIONS, "cells", STAGE_REVISIONS["cells"] + 1)
    assert key() != before


def test_equal_parameters_are_one_key() -> None:
    assert key(params={"tile_px": 512, "mpp": 0.5}) == key(params={"mpp": 0.5, "tile_px": 512.0})
    assert canonical_json({"b": (1, 2.0), "a": None}) == '{"a":null,"b":[1,2]}'


def test_numbers_that_are_none_make_no_key() -> None:
    with pytest.raises(ValueError):
        key(params={"mpp": float("nan")})


@pytest.mark.parametrize(("stage", "ext"), [("guess", "npy"), ("cells", "../x"), ("cells", ""), ("cells", "a/b")])
def test_unknown_stages_and_odd_extensions_are_refused(stage: str, ext: str) -> None:
    with pytest.raises(InvalidArgument):
        artifact_key("p", "s", stage, ext, inputs=[], params={})


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/.hidden",
        ".morula/sha256/x",
        "a\\b",
        "a\x00b",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "file:a",
        "C:x",
        "http://host/a",
        "a/" * 300 + "a",
        "ü" * 257,
        "a" * 256,
        "\ud800",
    ],
)
def test_hostile_keys_are_refused(bad: str) -> None:
    with pytest.raises(KeyInvalid):
        validate_key(bad)


@given(st.text("ab./\\:\n ü", max_size=20))
def test_a_valid_key_stays_below_the_root(text: str) -> None:
    try:
        valid = validate_key(text)
    except KeyInvalid:
        return
    assert not valid.startswith("/")
    assert all(segment not in ("", ".", "..") for segment in valid.split("/"))


def test_a_slide_s_digest_covers_names_digests_sizes_and_entry() -> None:
    digest = slide_digest(FILES, "CMU-1.mrxs")
    assert digest == slide_digest(reversed(FILES), "CMU-1.mrxs")
    others = [
        slide_digest(FILES[:1], "CMU-1.mrxs"),
        slide_digest(FILES, "CMU-1/Slidedat.ini"),
        slide_digest([FILES[0], ("CMU-1/Slidedat.ini", "c" * 64, 20)], "CMU-1.mrxs"),
        slide_digest([FILES[0], ("CMU-1/Slidedat.ini", "b" * 64, 21)], "CMU-1.mrxs"),
    ]
    assert len({digest, *others}) == 5


@pytest.mark.parametrize(("files", "entry"), [(FILES, "else.svs"), ([FILES[0], FILES[0]], "CMU-1.mrxs"), ([], "x")])
def test_a_manifest_must_make_sense(files: list[tuple[str, str, int]], entry: str) -> None:
    with pytest.raises(InvalidArgument):
        slide_digest(files, entry)


def test_cell_ids_differ_by_place_number_and_segmentation() -> None:
    space = cell_namespace("d" * 64, "nucleus", ("watershed", "r"), 0.5)
    ids = {
        cell_id(space, 10, 20),
        cell_id(space, 20, 10),
        cell_id(space, 10, 20, 1),
        cell_id(cell_namespace("d" * 64, "nucleus", ("watershed", "r"), 0.25), 10, 20),
        cell_id(cell_namespace("d" * 64, "component", ("watershed", "r"), 0.5), 10, 20),
    }
    assert len(ids) == 5
    assert cell_id(space, 10, 20) == uuid.uuid5(space, "10,20,0")
    assert cell_id(space, 10, 20).version == 5
