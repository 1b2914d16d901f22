"""`morula bench nuclei`: the network that ships beside what else finds nuclei, on images that it never learned from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.bench import points
from morula.bench.networks import trained_unet
from morula.bench.points import Detection, Field
from morula.bench.report import Case, Report
from morula.common.models import NUCLEI, ModelSpec, families, find
from morula.networks.models import Models
from morula.onebox.failures import Failure
from morula.onebox.segmenting import range_of
from morula.segmenter.backends import MODELS
from morula.segmenter.instances import Calibration, Wanted
from morula.segmenter.params import FlowParams
from morula.training import evaluate
from morula.training.config import read_config
from morula.training.data import parts_of, read_source
from morula.training.example import Example

CONFIG = Path(evaluate.__file__).parent / "configs" / f"{NUCLEI}.toml"
DSB = "dsb2018"
SHOWN = {"F1": "f1_0.5", "PQ": "pq", "AJI": "aji"}
STAINED = ("he_purple_on_purple", "he_purple_on_white", "he_pink_purple")
GRAPH_PX = 512
FIRST_PX = 17.0

Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Contender:
    """One way to find nuclei: on an image of unknown scale, and on one whose scale is known."""

    unscaled: Callable[[NDArray[np.uint8]], Labels]
    scaled: Callable[[NDArray[np.uint8], float], Labels]


def run() -> Report:
    """Every contender on every held-out group, and on points that people set."""
    data = Path(os.environ.get("MORULA_DATA", "../shared/data"))
    if not (data / "dsb2018").is_dir():
        raise Failure(f"{data} is not there; MORULA_DATA names the folder that holds dsb2018, he_nuclei and consep")
    examples = list(held_out(data))
    with contenders(data) as ways:
        cases = [case for name, way in ways.items() for case in _measured(name, way, examples, data)]
    return Report("nuclei", cases)


def held_out(data: Path) -> Iterator[Example]:
    """Images of the groups that the configuration names as tested."""
    config = read_config(CONFIG)
    for source in config.sources:
        if source.synthetic_seeds:
            continue
        examples = list(read_source(source, data))
        own = [group for group in config.split.test if group.startswith(f"{source.name}/")]
        parts = parts_of([one.group for one in examples], config.split.model_copy(update={"test": own, "watch": ()}))
        yield from (one for one in examples if parts[one.group] == "test")


@contextmanager
def contenders(data: Path) -> Iterator[Mapping[str, Contender]]:
    """The network that ships, the classical segmenter, and trained networks of the optional data."""
    with ExitStack() as opened:
        models = Models("segmenter", MODELS)
        opened.callback(models.close)
        ways = {name: _of_model(find(name, "segmenter"), models[name]) for name in (NUCLEI, "watershed")}
        other = opened.enter_context(trained_unet(data))
        if other:
            ways["cpnet_nuclei"] = _of_model(families()["cellpose-unet"], other)
        graph = data / "weights" / "unet_nuclei.onnx"
        if graph.is_file():
            ways["unet_nuclei"] = _of_graph(graph)
        yield ways


def _of_model(spec: ModelSpec, model: Any) -> Contender:
    """As `morula segment` looks at plain images: a network by their own percentiles, another by their range."""

    def seen(pixels: NDArray[np.uint8]) -> Calibration:
        return Calibration() if spec.is_network else range_of(pixels)

    return Contender(
        lambda pixels: evaluate.found(
            model, pixels, FIRST_PX, is_measured=spec.measures_objects, calibration=seen(pixels)
        ),
        lambda pixels, mpp: (
            model(pixels, mpp, Wanted(calibration=seen(pixels), flows=FlowParams(normalize="image"))).labels
        ),
    )


def _of_graph(path: Path) -> Contender:
    """A network of the foreground alone: what hangs together is one object. Nuclei are bright in what it sees."""
    network = cv2.dnn.readNetFromONNX(str(path))

    def find(pixels: NDArray[np.uint8]) -> Labels:
        grey = pixels.mean(axis=2).astype(np.float32)
        grey = 255 - grey if np.median(grey) > 127 else grey
        height, width = grey.shape
        shown = cv2.resize(grey, (GRAPH_PX, GRAPH_PX), interpolation=cv2.INTER_AREA)
        shown = (shown - shown.mean()) / max(float(shown.std()), 1e-6)
        network.setInput(shown[None, None])
        said = np.asarray(network.forward(), np.float32)[0, -1]
        inside = np.asarray(cv2.resize(said, (width, height))) > 0
        return np.asarray(cv2.connectedComponents(inside.astype(np.uint8))[1], np.int32)

    return Contender(find, lambda pixels, _: find(pixels))


def _measured(name: str, way: Contender, examples: Sequence[Example], data: Path) -> list[Case]:
    found = {one.key: way.unscaled(one.pixels) for one in examples}

    def of(some: Sequence[Example]) -> evaluate.Figures:
        return evaluate.score(some, lambda one: found[one.key])

    of_dsb = [one for one in examples if one.source == DSB]
    dsb, stained = of(of_dsb), of([one for one in of_dsb if one.kind in STAINED])
    cases = [
        Case(f"{name}: F1, DSB", dsb[evaluate.ALL]["f1_0.5"], ""),
        Case(f"{name}: F1, DSB, mean over modalities", dsb[evaluate.MACRO]["f1_0.5"], ""),
        Case(f"{name}: F1, DSB, stained tissue", stained[evaluate.ALL]["f1_0.5"], ""),
    ]
    for kind, scored in of(examples).items():
        if kind not in (evaluate.ALL, evaluate.MACRO):
            count = int(scored["image_count"])
            cases += [Case(f"{name}: {what}, {kind} ({count})", scored[of_what], "") for what, of_what in SHOWN.items()]
    for cohort in (points.cohort, points.nucls):
        cases += _detected(name, cohort.__name__, way, cohort(data))
    return cases


def _detected(name: str, cohort: str, way: Contender, fields: Iterable[Field]) -> list[Case]:
    total = Detection(0, 0, 0)
    for field in fields:
        total += points.match(way.scaled(field.pixels, field.mpp), field.points, field.mpp)
    return [
        Case(f"{name}: {what}, points of {cohort}", round(value, 4), "")
        for what, value in (("F1", total.f1), ("precision", total.precision), ("recall", total.recall))
    ]
