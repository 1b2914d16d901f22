"""`morula train`: from a configuration to weights with a card."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from morula.common.errors import FailedPrecondition, InvalidArgument
from morula.common.hashing import sha256_of
from morula.networks.devices import best_device
from morula.training import checkpoint, curve, objectives, progress
from morula.training.card import card, counted, markdown
from morula.training.config import Config, data_root, read_config
from morula.training.data import PARTS, parts_of, read_source
from morula.training.engine import BEST, Engine, Outcome
from morula.training.example import Example
from morula.training.objectives import Sets
from morula.training.plot import curve_svg, svg
from morula.training.prepared import Prepared, prepare

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """How a run ended; where it is finished, its files by their role."""

    outcome: Outcome
    files: Mapping[str, Path]


def train(path: Path, folder: Path, say: Say, *, learns: bool = True, counts: Sequence[int] = ()) -> Trained:
    """Learns what the file says, or goes on with it; SIGTERM ends it after a step, with a checkpoint.

    A run that no longer `learns` ends where its last checkpoint is, and its files are of the best weights so far.
    Before it learns from all images, runs of the same kind learn from about as many as `counts` says.
    """
    config = read_config(path)
    root = data_root(path)
    objective = objectives.find(config.objective)
    initial = objective.initial(config)
    if initial and not (root / initial).is_file():
        raise InvalidArgument(f"there is no file {root / initial} to learn on from")
    folder.mkdir(parents=True, exist_ok=True)
    sets, tested = prepared_sets(config, root, folder, say)
    if not any(one.object_count for one in sets["watch"]):
        raise InvalidArgument(
            "no watched image has an object: nothing would choose the weights; "
            "raise watch_share or name a group in split.watch"
        )
    with stopping() as stop:

        def learn(config: Config, sets: Sets, place: Path) -> Outcome:
            return _learned(config, sets, root, place, stop, learns=learns)

        points = curve.learn_points(config, sets, root, folder, counts, learn, say)
        outcome = learn(config, sets, folder)
    if learns and outcome.end == "stopped":
        return Trained(outcome, {})
    if points:
        curve.write(config, folder, [*points, curve.point_of(config, sets, root, folder, outcome)])
    say(f"{outcome.end} after {outcome.step} steps; best {outcome.best_score:.4f} at step {outcome.best_step}")
    return Trained(outcome, finish(config, sets, tested, folder, outcome))


def _learned(
    config: Config, sets: Sets, root: Path, folder: Path, stop: threading.Event, *, learns: bool = True
) -> Outcome:
    """The run in a folder, which then has weights unless it was told to stop."""
    objective = objectives.find(config.objective)
    learned = objective.objective(config, sets, root)
    fixed = {
        "objective": config.objective,
        "diameter_px": objective.size(config)[0],
        "initial": objective.initial(config),
    }
    engine = Engine(learned, config.schedule, fixed, folder, stop, best_device())
    outcome = engine.run() if learns else engine.outcome_of_best()
    if not (learns and outcome.end == "stopped") and not (folder / BEST).exists():
        raise FailedPrecondition(
            f"the run in {folder} ended before anything chose its weights: take another folder, or more steps"
        )
    return outcome


def prepared_sets(config: Config, root: Path, folder: Path, say: Say) -> tuple[Sets, list[Example]]:
    """Examples of each part as they are learned from, and those of the test as they are."""
    diameter_px, least_px = objectives.find(config.objective).size(config)
    examples: list[Example] = []
    ready: list[Prepared] = []
    for source in config.sources:
        before = len(examples)
        for example in read_source(source, root):
            examples.append(example)
            ready.append(prepare(example, diameter_px, least_px, folder / "prepared"))
        say(f"{source.name}: {len(examples) - before} images")
    parts = parts_of([example.group for example in examples], config.split)
    sets: Sets = {part: [one for one in ready if parts[one.group] == part] for part in PARTS}
    for part in PARTS:
        kinds = ", ".join(f"{kind} {images} ({objects})" for kind, (images, objects) in counted(sets[part]).items())
        say(f"{part}: {len(sets[part])} images (objects): {kinds or 'none'}")
    if not any(one.object_count for one in sets["train"]):
        raise InvalidArgument("there is no object in any image that is to be learned from")
    return sets, [example for example in examples if parts[example.group] == "test"]


def finish(config: Config, sets: Sets, tested: list[Example], folder: Path, outcome: Outcome) -> Mapping[str, Path]:
    """Files of the best weights, and beside them the card and the picture of the run."""
    finished = objectives.find(config.objective).finish(config, sets, tested, folder)
    digests = {path.name: sha256_of(path) for path in finished.files.values()}
    points = curve.read(config, folder)
    said = card(config, sets, outcome, digests, finished, points)
    checkpoint.write_whole(folder / f"{config.name}.json", json.dumps(said, indent=2).encode())
    checkpoint.write_whole(folder / f"{config.name}.md", markdown(said).encode())
    checkpoint.write_whole(folder / f"{config.name}.svg", svg(progress.read(folder)).encode())
    if points:
        checkpoint.write_whole(folder / f"{config.name}.curve.svg", curve_svg(points).encode())
    return finished.files


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
