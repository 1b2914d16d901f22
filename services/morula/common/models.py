"""The models there are. Data only: who runs them is the business of segmenter and embedder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from morula.common.errors import InvalidArgument, LicenceForbids, ModelUnavailable
from morula.common.keys import digest
from morula.common.segmentation import (
    BY_CONTRAST,
    BY_FLOWS,
    BY_FLOWS_AT_ANY_SIZE,
    OF_NETWORKS,
    OfRow,
    Parameters,
)
from morula.common.stain import Stain

Task = Literal["segmenter", "embedder"]
Commercial = Literal["yes", "no", "unclear"]
Profile = Literal["research", "commercial"]
"""What models are used for: in research all may be, commercially those alone of which it is known."""
PROFILES: tuple[Profile, ...] = get_args(Profile)
ANY_USE: Profile = "research"
SCALES = Path(__file__).parent / "scales"


@dataclass(frozen=True)
class Description:
    """What people are told of a model. Words may change and be added: no key depends on them."""

    licence: str
    trained_on: str
    commercial: Commercial
    """Whether licence and training data allow commercial use."""
    scaled_by: str = ""
    """The reference set of an operator's embedder; empty where nobody fitted its scale."""


@dataclass(frozen=True)
class ModelSpec:
    """One row of the registry."""

    name: str
    task: Task
    object_kind: Literal["nucleus", "component", "patch"]
    mpp: float
    """Microns per pixel that it works at."""
    object_um: float
    """Diameter of a typical object; default where a request names none."""
    channels: tuple[str, ...]
    shard_tile_count: int
    """Tiles per shard, 1 to 256: part of a plan's key, hence the same on every machine."""
    description: Description
    family: str = ""
    """The kind of network, where an operator supplies the weights; rows of one family differ in their files."""
    files: tuple[tuple[str, str], ...] = ()
    """Role and sha256 of each of its files."""
    columns: tuple[str, ...] = ()
    """An embedder's columns, with units in their names."""
    location: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    """Location and scale of each column over the reference set, never over the slide at hand."""
    segmenter: str = ""
    """The segmenter whose features of each cell an embedder takes; empty where it looks at pixels."""
    window_um: float = 0.0
    """How much an embedder's network is shown around each cell; 0 is the cell's own box, whatever its size."""
    context_um: float = 0.0
    """And how much in a second look, at what is around it; 0 is none."""
    backbone: str = ""
    """Which network of a library an embedder's file is of, where its family is a library."""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    """How colours of 0 to 1 are normalised for it,"""
    picture_px: int = 0
    """and the side of its pictures; 0 is its family's."""
    code_revision: int = 1
    """Raised by one when our code makes other results of the same files; of a family, for all of its rows."""
    dtypes: tuple[str, ...] = ("float32",)
    """What a network can compute in, first what all can. Which one it does is a part of the keys of its own."""
    takes: Parameters = ()
    """What may be asked of it, with what it does where nobody does."""
    stains: tuple[Stain | None, ...] = ()
    """Of slides with which stains an embedder can tell its columns, None of such as nobody knows; empty of all."""
    variant_of: str = ""
    """The embedder in whose place this one stands for slides with its stains."""

    def __post_init__(self) -> None:
        if not len(self.columns) == len(self.location) == len(self.scale):
            raise ValueError(f"{self.name}: columns, location and scale differ in length")
        if not 1 <= self.shard_tile_count <= 256:
            raise ValueError(f"{self.name}: a shard has 1 to 256 tiles")
        if any(value <= 0 for value in self.scale):
            raise ValueError(f"{self.name}: a scale is not positive")

    @property
    def is_network(self) -> bool:
        return bool(self.family)

    @property
    def measures_objects(self) -> bool:
        """Whether one of its files tells the size of a slide's objects."""
        return any(role == "size" for role, _ in self.files)

    @property
    def defaults(self) -> dict[str, float | bool | str | tuple[str, ...] | None]:
        """What may be asked of it, and what it does where nobody does; None is what it finds out by itself."""
        stated = {name: getattr(self, value.field) if isinstance(value, OfRow) else value for name, value in self.takes}
        return stated | {"diameter_um": None} if self.measures_objects else stated

    def check_cells_of(self, segmenter: ModelSpec) -> None:
        """Raises InvalidArgument where an embedder takes features that this segmenter does not leave."""
        if self.segmenter and segmenter.name != self.segmenter:
            raise InvalidArgument(
                f"{self.name} takes what {self.segmenter} sees of each cell, not {segmenter.name}: "
                f"find the cells with {self.segmenter}, or choose another embedder",
                model=self.name,
            )

    def suits(self, stain: Stain | None) -> bool:
        """Whether it can tell its columns of slides with this stain."""
        return not self.stains or stain in self.stains

    def check_stain(self, stain: Stain | None) -> None:
        """Raises InvalidArgument where an embedder measures what a slide with this stain does not have."""
        if not self.suits(stain):
            kinds = " or ".join("an unknown stain" if one is None else one for one in self.stains)
            raise InvalidArgument(
                f"{self.name} describes cells of slides with {kinds}, and this one has {stain or 'an unknown stain'}: "
                f"say another stain, or choose {self.variant_of or 'another embedder'}",
                model=self.name,
            )

    def check_asked(self, asked: Mapping[str, object]) -> None:
        """Raises InvalidArgument where something is asked that it would take no notice of, or cannot do."""
        unused = [name for name in asked if name not in self.defaults]
        if unused:
            raise InvalidArgument(
                f"{self.name} takes no notice of {', '.join(unused)}: leave it out, or choose another {self.task}; "
                f"of {self.name} may be asked: {', '.join(self.defaults) or 'nothing'}",
                model=self.name,
            )
        channels = asked.get("channels")
        if isinstance(channels, Sequence) and len(channels) != len(self.channels):
            raise InvalidArgument(
                f"{self.name} sees {len(self.channels)} channels, as a rule {', '.join(self.channels)}: "
                f"name as many, not {len(channels)}",
                model=self.name,
            )

    def check_use(self, profile: Profile) -> None:
        """Raises LicenceForbids where licence and training data do not clearly allow this use."""
        words = self.description
        if profile == ANY_USE or words.commercial == "yes":
            return
        forbids = "do not allow commercial use" if words.commercial == "no" else "are not known to allow commercial use"
        raise LicenceForbids(
            f"{self.name} is refused by the profile 'commercial': its licence ({words.licence}) and training data "
            f"({words.trained_on}) {forbids}. Choose a {self.task} that allows it: `morula models` lists them. Where "
            f"you have such a licence for your file, add it again with --commercial yes.",
            model=self.name,
            licence=words.licence,
        )

    @cached_property
    def revision(self) -> str:
        """Digest of what changes results.

        A field that is as by default is no part of it, so that a new one leaves models alone that it does not concern.
        """
        return digest(
            {
                field.name: getattr(self, field.name)
                for field in fields(self)
                if field.name not in NO_PART_OF_REVISION and getattr(self, field.name) != field.default
            }
        )


NO_PART_OF_REVISION = frozenset({"name", "shard_tile_count", "description", "dtypes", "takes", "stains", "variant_of"})
"""Fields that change no result, or are parts of keys beside the revision."""
OF_THE_CODE = frozenset({"code_revision", "dtypes", "takes", "stains", "variant_of"})
"""Fields that say what our code does: a row that an operator added has those that its family has today."""


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


MORPHOLOGY = "morphology"
_OF_A_REFERENCE_SET = "location and scale of its columns are of a reference set"
_BY_CONSTRUCTION = "location and scale of its shapes are of a reference set of H&E, those of {} by construction"

REGISTRY: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="morula-nuclei",
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
        files=(("network", "e8f1e39c3f5e933dc93f0971838e2892a24c80b21321801fc20f6a545af8860a"),),
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
        segmenter="morula-nuclei",
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
