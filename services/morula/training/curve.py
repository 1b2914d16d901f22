"""How a score grows with the number of images: the same run on more and more of them.

Groups are taken whole, in an order that the seed draws, from each kind of image in turn: what few images held is among
more of them, and groups that are watched or tested are the same for all. Each point is a run in a folder of its own,
which goes on where it was stopped; one that is finished is not trained again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from morula.common.errors import InvalidArgument
from morula.networks.devices import best_device
from morula.training import checkpoint, objectives
from morula.training.config import Config
from morula.training.engine import BEST, Outcome
from morula.training.objectives import Sets
from morula.training.prepared import Prepared

POINTS = "curve"
_FINISHED = "point.json"
Say = Callable[[str], None]
Learn = Callable[[Config, Sets, Path], Outcome]


@dataclass(frozen=True)
class Point:
    """What was learned from, and what it is worth: the score that its objective watches."""

    image_count: int
    group_count: int
    object_count: int
    watched: float
    """On the groups that chose the weights."""
    tested: float | None
    """On the groups that chose nothing; None where there are none."""


def learn_points(
    config: Config, sets: Sets, root: Path, folder: Path, counts: Sequence[int], learn: Learn, say: Say
) -> list[Point] | None:
    """A point for each part of the images, none for all of them; None where it was told to stop on the way."""
    points = []
    for train in parts(sets["train"], counts, config.seed):
        some: Sets = {**sets, "train": train}
        fewer = config.model_copy(update={"shares": _shares(config, train)})
        place = folder / POINTS / f"{len(train):04d}-{_digest(fewer, some)}"
        place.mkdir(parents=True, exist_ok=True)
        finished = place / _FINISHED
        if not finished.exists():
            outcome = learn(fewer, some, place)
            if outcome.end == "stopped":
                return None
            point = point_of(fewer, some, root, place, outcome)
            checkpoint.write_whole(finished, json.dumps(asdict(point)).encode())
            (place / checkpoint.NAME).unlink()
        points.append(Point(**json.loads(finished.read_text("utf-8"))))
        say(told(points[-1]))
    return points


def parts(train: Sequence[Prepared], counts: Sequence[int], seed: int) -> list[list[Prepared]]:
    """Images of whole groups, at least as many as each count says: the smaller part lies in the larger, all is none."""
    if any(count < 1 for count in counts):
        raise InvalidArgument("a curve is of one image or more")
    found: dict[int, list[Prepared]] = {}
    for count in sorted(counts):
        some: list[Prepared] = []
        for group in _ordered(train, seed):
            if len(some) >= count and any(one.object_count for one in some):
                break
            some += group
        found[len(some)] = some
    return [some for size, some in found.items() if size < len(train)]


def _ordered(train: Sequence[Prepared], seed: int) -> list[list[Prepared]]:
    """Groups of one kind after those of another, as long as there are any."""
    groups: dict[str, list[Prepared]] = {}
    for one in train:
        groups.setdefault(one.group, []).append(one)
    kinds: dict[str, list[list[Prepared]]] = {}
    names = sorted(groups)
    for place in np.random.default_rng(seed).permutation(len(names)):
        group = groups[names[place]]
        kinds.setdefault(group[0].kind, []).append(group)
    in_turn = zip_longest(*(kinds[kind] for kind in sorted(kinds)))
    return [group for turn in in_turn for group in turn if group is not None]


def point_of(config: Config, sets: Sets, root: Path, folder: Path, outcome: Outcome) -> Point:
    """The best weights of a run's folder, on what was never learned from."""
    train = sets["train"]
    tested = None
    if any(one.object_count for one in sets["test"]):
        objective = objectives.find(config.objective).objective(config, {**sets, "watch": sets["test"]}, root)
        network = objective.network()
        network.load_state_dict(safetensors.torch.load((folder / BEST).read_bytes()))
        tested = round(objective.watch(network.to(torch.device(best_device())).eval())["score"], 4)
    return Point(
        len(train),
        len({one.group for one in train}),
        sum(one.object_count for one in train),
        round(outcome.best_score, 4),
        tested,
    )


def told(point: Point) -> str:
    tested = "" if point.tested is None else f", {point.tested:.4f} tested"
    return f"{point.image_count} images of {point.group_count} groups: {point.watched:.4f} watched{tested}"


def path_of(config: Config, folder: Path) -> Path:
    return folder / f"{config.name}.curve.json"


def write(config: Config, folder: Path, points: Sequence[Point]) -> None:
    said = [asdict(point) for point in points]
    checkpoint.write_whole(path_of(config, folder), json.dumps(said, indent=2).encode())


def read(config: Config, folder: Path) -> list[dict[str, float | None]]:
    """Points of the curve that was last measured in a folder; none where none was."""
    path = path_of(config, folder)
    points: list[dict[str, float | None]] = json.loads(path.read_text("utf-8")) if path.exists() else []
    return points


def _shares(config: Config, train: Sequence[Prepared]) -> Mapping[str, float]:
    """Those of the kinds that are there."""
    kinds = {one.kind for one in train}
    return {kind: share for kind, share in config.shares.items() if kind in kinds}


def _digest(config: Config, sets: Sets) -> str:
    """Of all that a point depends on, so that another configuration has other folders."""
    told = config.model_dump(mode="json", exclude={"name", "notes", "licence", "row", "sources"})
    names = {part: sorted((one.key, one.object_count) for one in examples) for part, examples in sets.items()}
    return hashlib.sha256(json.dumps([told, names], sort_keys=True).encode()).hexdigest()[:8]
