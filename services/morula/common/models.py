"""The models there are. Data only: who runs them is the business of segmenter and embedder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from morula.common import imported
from morula.common.errors import ModelUnavailable
from morula.common.model_spec import (
    ANY_USE,
    NO_PART_OF_REVISION,
    OF_THE_CODE,
    PROFILES,
    Commercial,
    Description,
    ModelSpec,
    Profile,
    Task,
)
from morula.common.segmentation import BY_CONTRAST, BY_FLOWS, BY_FLOWS_AT_ANY_SIZE, OF_NETWORKS
from morula.common.stain import Stain

__all__ = [
    "ANY_USE",
    "NO_PART_OF_REVISION",
    "OF_THE_CODE",
    "PROFILES",
    "Commercial",
    "Description",
    "ModelSpec",
    "Profile",
    "Task",
]

SCALES = Path(__file__).parent / "scales"


def _scales(name: str) -> dict[str, tuple[float, ...]]:
    stored = json.loads((SCALES / f"{name}.json").read_text(encoding="utf-8"))
    return {field: tuple(stored[field]) for field in ("columns", "location", "scale")}


def _morphology(name: str, stains: tuple[Stain | None, ...], fitted: str) -> ModelSpec:
    """What is measured of cells on slides with these stains."""
    return ModelSpec(
        name=name,
        task="embedder",
        object_kind="nucleus",
        mpp=0.5,
        object_um=8.0,
        channels=("red", "green", "blue"),
        shard_tile_count=64,
        description=Description(licence="Apache-2.0", trained_on=f"nothing: {fitted}", commercial="yes"),
        stains=stains,
        variant_of="" if name == MORPHOLOGY else MORPHOLOGY,
        **_scales(name),  # type: ignore[arg-type]
    )


NUCLEI = "morula-nuclei"
MORPHOLOGY = "morphology"
DEFAULT_SEGMENTER, DEFAULT_EMBEDDER = NUCLEI, MORPHOLOGY
"""Where nothing else is asked for."""
_OF_A_REFERENCE_SET = "location and scale of its columns are of a reference set"
_BY_CONSTRUCTION = "location and scale of its shapes are of a reference set of H&E, those of {} by construction"

REGISTRY: tuple[ModelSpec, ...] = (
    ModelSpec(
        name=NUCLEI,
        task="segmenter",
        object_kind="nucleus",
        mpp=0.5,
        object_um=6.0,
        channels=("red", "green", "blue"),
        shard_tile_count=16,
        description=Description(
            licence="Apache-2.0",
            trained_on="dsb2018 (CC0), he_nuclei (CC BY 4.0, BSD-3-Clause), CoNSeP (Apache-2.0, as the model notes of "
            "InstanSeg state it), synthetic slides of Morula",
            commercial="yes",
        ),
        family="cellpose-unet",
        files=(("network", "07e7b17f251f34e0c10d68fab3223e99a26a55685dcd7ecda67927e7b1bd8381"),),
        dtypes=("float32", "bfloat16"),
        code_revision=3,
        takes=BY_FLOWS,
    ),
    ModelSpec(
        name="watershed",
        task="segmenter",
        object_kind="nucleus",
        mpp=0.5,
        object_um=8.0,
        channels=("red", "green", "blue"),
        shard_tile_count=64,
        description=Description(
            licence="Apache-2.0",
            trained_on="nothing: colour deconvolution and watershed",
            commercial="yes",
        ),
        takes=BY_CONTRAST,
    ),
    ModelSpec(
        name=imported.MODEL,
        task="segmenter",
        object_kind="nucleus",
        mpp=0.5,
        object_um=8.0,
        channels=("imported_cells",),
        shard_tile_count=64,
        description=Description(
            licence="of the run that found the cells",
            trained_on="nothing: cells that another program found and that came with their slide",
            commercial="unclear",
        ),
    ),
    _morphology(MORPHOLOGY, ("H&E",), _OF_A_REFERENCE_SET),
    _morphology("morphology-ihc", ("IHC",), _BY_CONSTRUCTION.format("DAB")),
    _morphology("morphology-fluorescence", ("fluorescence",), _BY_CONSTRUCTION.format("light")),
    _morphology("morphology-plain", (None, "other"), f"{_OF_A_REFERENCE_SET} of H&E"),
    ModelSpec(
        name="morula-nuclei-features",
        task="embedder",
        object_kind="nucleus",
        mpp=0.5,
        object_um=6.0,
        channels=("network_features",),
        shard_tile_count=64,
        description=Description(
            licence="Apache-2.0",
            trained_on="as morula-nuclei: what that network sees under each mask",
            commercial="yes",
        ),
        segmenter=NUCLEI,
        **_scales("morula-nuclei-features"),  # type: ignore[arg-type]
    ),
)


def unit_columns(count: int) -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]:
    """Columns of a network's vectors, with a location and scale that suit any of length one: nothing was measured."""
    return tuple(f"number_{n}" for n in range(1, count + 1)), (0.0,) * count, (max(count, 1) ** -0.5,) * count


def _backbone(name: str, dimension_count: int, window_um: float) -> ModelSpec:
    """A family of embedders; of a library's networks each has its own number of dimensions."""
    columns, location, scale = unit_columns(dimension_count)
    return ModelSpec(
        name=name,
        task="embedder",
        object_kind="nucleus",
        mpp=0.5,
        object_um=8.0,
        channels=("red", "green", "blue"),
        shard_tile_count=16,
        description=Description(
            licence="of the file",
            trained_on="of the file: the released ones on ImageNet, whose pictures are for research",
            commercial="unclear",
        ),
        family=name,
        dtypes=("float32", "bfloat16"),
        window_um=window_um,
        columns=columns,
        location=location,
        scale=scale,
    )


# Networks whose weights an operator supplies: each file that is added makes a row of its own.
FAMILIES: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="cellpose-sam",
        task="segmenter",
        object_kind="nucleus",
        mpp=0.5,
        object_um=8.0,
        channels=("red", "green", "blue"),
        shard_tile_count=16,
        description=Description(
            licence="of the file: stated BSD-3-Clause for the released ones",
            trained_on="of the file: the released ones on data that forbid commercial use",
            commercial="no",
        ),
        family="cellpose-sam",
        dtypes=("float32", "bfloat16"),
        takes=BY_FLOWS_AT_ANY_SIZE,
    ),
    ModelSpec(
        name="cellpose-unet",
        task="segmenter",
        object_kind="nucleus",
        mpp=0.5,
        object_um=8.0,
        channels=("gray", "none"),
        shard_tile_count=16,
        description=Description(
            licence="of the file",
            trained_on="of the file",
            commercial="unclear",
        ),
        family="cellpose-unet",
        code_revision=3,
        dtypes=("float32", "bfloat16"),
        takes=BY_FLOWS,
    ),
    ModelSpec(
        name="instanseg",
        task="segmenter",
        object_kind="nucleus",
        mpp=0.5,
        object_um=8.0,
        channels=("red", "green", "blue"),
        shard_tile_count=16,
        description=Description(
            licence="Apache-2.0",
            trained_on="of the file",
            commercial="yes",
        ),
        family="instanseg",
        takes=OF_NETWORKS,
    ),
    ModelSpec(
        name="cell-net",
        task="embedder",
        object_kind="nucleus",
        mpp=0.5,
        object_um=8.0,
        channels=("red", "green", "blue", "mask"),
        shard_tile_count=16,
        description=Description(
            licence="of the file",
            trained_on="of the file",
            commercial="unclear",
        ),
        family="cell-net",
        dtypes=("float32", "bfloat16"),
    ),
    _backbone("resnet50", 2048, window_um=0.0),
    _backbone("mobilenet_v2", 1280, window_um=24.0),
    _backbone("timm", 0, window_um=24.0),
    _backbone("torchvision", 0, window_um=24.0),
)
LIBRARIES = frozenset({"timm", "torchvision"})
"""Families of which the network is named beside the file."""

_added: dict[str, ModelSpec] = {}


def add_rows(specs: Iterable[ModelSpec]) -> None:
    """Makes rows of an operator's files known to this process, once, when it starts."""
    for spec in specs:
        if spec.name in {row.name for row in REGISTRY}:
            raise ValueError(f"{spec.name} is the name of a model that is always there")
        _added[spec.name] = spec


def rows() -> tuple[ModelSpec, ...]:
    """All models of this process."""
    return (*REGISTRY, *_added.values())


def families() -> dict[str, ModelSpec]:
    """Rows of the families of networks, by their names."""
    return {row.family: row for row in FAMILIES}


def find(name: str, task: Task, registry: Iterable[ModelSpec] | None = None) -> ModelSpec:
    """The row of this name, or ModelUnavailable with the names there are."""
    known = {spec.name: spec for spec in (rows() if registry is None else registry) if spec.task == task}
    if name not in known:
        families = {spec.name for spec in FAMILIES if spec.task == task}
        hint = f"; its weights are added by: morula models add {name} FILE" if name in families else ""
        there = ", ".join(sorted(known))
        raise ModelUnavailable(f"there is no {task} {name!r}; there are: {there}{hint}", model=name)
    return known[name]


def variant(spec: ModelSpec, stain: Stain | None, registry: Iterable[ModelSpec] | None = None) -> ModelSpec:
    """The row that stands for an embedder where slides have this stain; raises InvalidArgument where none does."""
    known = rows() if registry is None else registry
    if not spec.suits(stain):
        for row in known:
            if row.variant_of == spec.name and row.suits(stain):
                return row
    spec.check_stain(stain)
    return spec


def resolve(name: str, revision: str, task: Task, registry: Iterable[ModelSpec] | None = None) -> ModelSpec:
    """The row of exactly this name and revision: nothing is ever substituted."""
    spec = find(name, task, registry)
    if spec.revision != revision:
        raise ModelUnavailable(
            f"{task} {name!r} is here as revision {spec.revision[:12]}, not {revision[:12]}: "
            "a retry keeps to the old one, so start a new job",
            model=name,
            revision=spec.revision,
        )
    return spec
