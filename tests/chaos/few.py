"""A few rounds for every run of the tests, on a slide with a seventh of the shards of `make chaos`."""

from __future__ import annotations

from tests.chaos.__main__ import run

TILES_ALONG = 3
SEED = 0


def assert_none_lost(ground: str, faults: list[str]) -> None:
    outcomes = run(ground, len(faults), faults, SEED, TILES_ALONG)
    assert [one.fault for one in outcomes] == faults
    assert [one for one in outcomes if one.problems] == []
