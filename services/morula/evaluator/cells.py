"""What is evaluated: cells whose truth is known, each with the cluster it was put into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from morula.common.errors import InvalidArgument

Ints = NDArray[np.int64]
Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]

OF_ALL = ("noise", "is_apart")
"""Fields of `Cells` that are not a row for each cell."""
IN_NONE = 0
"""Cluster of a cell that is in none, as assignments have it."""


@dataclass(frozen=True)
class Part:
    """What each cell belongs to, such as its class, slide or tile: a number from 0, and what each number is called."""

    codes: Ints
    names: tuple[str, ...]

    @classmethod
    def of(cls, values: Sequence[Any] | NDArray[Any] | pa.Array) -> Part:
        """By words; they are ordered as numbers where all of them are whole numbers."""
        encoded = pa.array(values).cast(pa.string()).dictionary_encode()
        words = np.asarray(encoded.dictionary.to_pylist(), dtype=np.str_)
        order = np.argsort(words.astype(np.int64) if _are_whole(words) else words, kind="stable")
        rank = np.empty(len(words), np.int64)
        rank[order] = np.arange(len(words))
        return cls(rank[encoded.indices.to_numpy()], tuple(words[order].tolist()))

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, chosen: Flags | Ints) -> Part:
        return replace(self, codes=self.codes[chosen])


def _are_whole(words: NDArray[np.str_]) -> bool:
    return all(word.removeprefix("-").isdecimal() and len(word) < 19 for word in words.tolist())


@dataclass(frozen=True)
class Cells:
    """One row for each cell that has a truth and was matched; what is None is not known."""

    truth: Part
    """Its class."""
    cluster: Ints
    """As assignments name it: any whole numbers."""
    noise: int = IN_NONE
    """What `cluster` calls cells that are in none."""
    is_apart: bool = False
    """Clusters of each slide are its own: of equal number in two slides they are two clusters."""
    slide: Part | None = None
    tile: Part | None = None
    """By its name within its slide."""
    batch: Part | None = None
    tissue: Part | None = None
    species: Part | None = None
    confidence: Floats | None = None
    """0 to 1: how sure its cluster is."""
    vectors: Floats | None = None
    """What was clustered, one row each: a linear model of them spreads single labels, and is the ceiling."""
    morphology: Floats | None = None
    """Measures alone, one row each: clustered into as many clusters they are a baseline."""
    annotator: Part | None = None
    """Who said it."""
    cell: Ints | None = None
    """Equal for rows that speak of one cell, where a truth does so more than once."""

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, chosen: Flags | Ints) -> Cells:
        """Some of them."""
        kept: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in OF_ALL}
        for name, value in kept.items():
            if value is not None:
                kept[name] = value.take(chosen) if isinstance(value, Part) else value[chosen]
        return replace(self, **kept)

    @property
    def is_noise(self) -> Flags:
        return np.asarray(self.cluster == self.noise)

    @property
    def base(self) -> Ints:
        """What tells clusters of equal number apart: the slide, where they are its own."""
        if not self.is_apart or self.slide is None:
            return np.zeros(len(self), np.int64)
        return self.slide.codes

    @property
    def clusters(self) -> Ints:
        """Numbers of clusters that mean one cluster each in all of the cells."""
        names, codes = np.unique(self.cluster, return_inverse=True)
        return np.asarray(self.base * len(names) + codes.ravel())


@dataclass(frozen=True)
class Named:
    """How many there are of something that went wrong, and the first of them by name."""

    count: int = 0
    first: tuple[str, ...] = ()


@dataclass(frozen=True)
class Match:
    """How the truth found its cells. What is said of matched cells is worth as much as there are of them."""

    truth_count: int
    """Cells of the truth, each counted once."""
    matched_count: int
    by: str
    """`cell_id`, `row`, or how else."""
    missing: Named = field(default_factory=Named)
    """Assigned cells of which the truth says nothing."""
    foreign: Named = field(default_factory=Named)
    """Cells of the truth that are not among the assigned ones."""
    doubled: Named = field(default_factory=Named)
    """Cells of which the truth speaks more than once."""

    @property
    def rate(self) -> float:
        """Share of the truth that found its cell."""
        return self.matched_count / self.truth_count if self.truth_count else 0.0

    def as_json(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in ("missing", "foreign", "doubled")}
        return {
            "by": self.by,
            "truth_count": self.truth_count,
            "matched_count": self.matched_count,
            **{name: {"count": one.count, "first": list(one.first)} for name, one in named.items()},
        }


def check(cells: Cells, match: Match) -> None:
    """Refuses what no number can be made of, in one line that says why."""
    if not match.truth_count:
        raise InvalidArgument("the truth has no cells")
    if not len(cells):
        raise InvalidArgument(
            f"none of the {match.truth_count:,} cells of the truth is among those that were assigned "
            f"(matched by {match.by}): is it the truth of another slide?"
        )
    _check_lengths(cells)
    present = np.unique(cells.truth.codes)
    if len(present) < 2:
        raise InvalidArgument(
            f"all matched cells of the truth are of one class, {cells.truth.names[present[0]]!r}: there is nothing to "
            "tell apart"
        )
    if cells.confidence is not None:
        wrong = np.flatnonzero(~((cells.confidence >= 0) & (cells.confidence <= 1)))
        if len(wrong):
            raise InvalidArgument(
                f"the confidence of {len(wrong):,} cells is no number from 0 to 1, the first of them is matched cell "
                f"{wrong[0]}: {cells.confidence[wrong[0]]}"
            )
    for name in ("vectors", "morphology"):
        table = getattr(cells, name)
        if table is not None and not np.isfinite(table).all():
            raise InvalidArgument(f"{name} has rows that are not numbers throughout")


def _check_lengths(cells: Cells) -> None:
    for one in fields(cells):
        value = getattr(cells, one.name)
        if one.name not in OF_ALL and value is not None and len(value) != len(cells):
            raise InvalidArgument(f"{one.name} has {len(value):,} rows, the truth {len(cells):,}")
