"""`morula train`: from a configuration to weights."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from morula.common.errors import InvalidArgument
from morula.networks.devices import best_device
from morula.training.config import Config, data_root, read_config
from morula.training.data import PARTS, Part, parts_of, read_source
from morula.training.engine import Engine, Outcome
from morula.training.objectives.flows import Flows, settings_of
from morula.training.prepared import Prepared, prepare

Say = Callable[[str], None]


def train(path: Path, folder: Path, say: Say) -> Outcome:
    """Learns what the file says, or goes on with it; SIGTERM ends it after a step, with a checkpoint."""
    config = read_config(path)
    folder.mkdir(parents=True, exist_ok=True)
    sets = prepared_sets(config, data_root(path), folder, say)
    objective = Flows(config, sets["train"], sets["watch"], data_root(path))
    with stopping() as stop:
        return Engine(objective, config.schedule, folder, stop, best_device()).run()


def prepared_sets(config: Config, root: Path, folder: Path, say: Say) -> dict[Part, list[Prepared]]:
    """Examples of each part, ready to be learned from."""
    settings = settings_of(config)
    examples = []
    for source in config.sources:
        count = 0
        for example in read_source(source, root):
            examples.append(prepare(example, settings.diameter_px, settings.crop_px, folder / "prepared"))
            count += 1
        say(f"{source.name}: {count} images")
    parts = parts_of([example.group for example in examples], config.split)
    sets: dict[Part, list[Prepared]] = {part: [one for one in examples if parts[one.group] == part] for part in PARTS}
    for part, members in sets.items():
        kinds = Counter(one.kind for one in members)
        objects = sum(one.object_count for one in members)
        say(f"{part}: {len(members)} images, {objects} objects: " + ", ".join(f"{k} {n}" for k, n in kinds.items()))
    if not any(one.object_count for one in sets["train"]):
        raise InvalidArgument("there is no object in any image that is to be learned from")
    return sets


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
