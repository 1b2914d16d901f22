"""What a job does: its parameters, complete and explicit, so that they can be part of every key."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from morula.common import clustering, imported, models
from morula.common.compute import cpu_count
from morula.common.errors import FailedPrecondition, InvalidArgument, ModelUnavailable, SlideScaleUnknown
from morula.common.keys import digest
from morula.common.segmentation import Channel, Normalization
from morula.common.stain import Stain
from morula.gateway.fields import Level0Px, Name, Regions, Request, Scale, StainWord
from morula.gateway.pipeline.presets import PRESETS
from morula.v1.artifact_pb2 import ModelRef
from morula.v1.clusterer_pb2 import ClusterParams
from morula.v1.tiler_pb2 import TileFilter, TileGate, TileSelection

PIPELINE_REVISION = "2"
"""Raised when the order or meaning of the conductor's steps changes; running jobs are then submitted again."""

HALO_PX = 32
"""Halo around a region of 2048 px: 2112 px are exactly a hundred crops of Cellpose-SAM."""
LEAST_HALO_UM = 15.0
"""A network's answer about a cell depends on about so much around it: a narrower halo loses faint cells at seams."""
WIDE_HALO_PX = 128
"""Halo at finer scales: one more crop on each side than with 32 px, as 48 px would need, too."""

SECOND_HALO_PX = 512
"""Halo around regions whose first halo cuts cells, such as muscle fibres and fat cells. With one tile of halo, cells of
up to two tiles length are whole in the region of their centroid; the region takes twice the work."""

Stage = Literal["plan", "cut", "segment", "embed", "settle", "cluster", "tables", "evaluate"]
SLIDE_STAGES: tuple[Stage, ...] = ("plan", "cut", "segment", "embed", "settle", "cluster", "tables")
COHORT_STAGES: tuple[Stage, ...] = ("cluster", "tables")
EVALUATION_STAGES: tuple[Stage, ...] = ("evaluate",)


LEAST_DIAMETER_PX, LARGEST_DIAMETER_PX = 5, 256
"""Of objects at the working scale: smaller ones are not seen there, larger ones reach beyond what is looked at."""

Chosen = Annotated[bool, Field(strict=True)]


class Segmentation(Request):
    """How cells are found, by the names of `SegmentParams`; what is left open is as the preset or the model has it."""

    diameter_um: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None = None
    min_area_um2: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] | None = None
    flow_threshold: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    cellprob_threshold: Annotated[float, Field(ge=-20, le=20, allow_inf_nan=False)] | None = None
    niter: Annotated[int, Field(ge=1, le=5000, strict=True)] | None = None
    max_size_fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    normalize: Normalization | None = None
    augment: Chosen | None = None
    channels: Annotated[list[Channel], Field(min_length=1, max_length=8)] | None = None
    keep_rejected: Chosen | None = None


class Choices(Segmentation):
    """What a request may choose; what it leaves open comes from the preset, or from the slide.

    A choice that is called like a parameter is that parameter.
    """

    preset: Name = "default"
    segmenter: Name | None = None
    embedder: Name | None = None
    mpp: Scale | None = None
    slide_mpp: Scale | None = None
    stain: StainWord | None = None
    include: Regions | None = None
    exclude: Regions | None = None
    sample_tile_count: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0
    eps: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] | None = None
    """Of the published clustering; 0 finds it by the knee."""
    layout: clustering.Layout | None = None
    """How cells are laid out for drawing; None is around their leaves."""
    origin_x_px: Level0Px = 0
    origin_y_px: Level0Px = 0

    @property
    def asked(self) -> dict[str, Any]:
        """What is not left open."""
        defaults = {name: field.default for name, field in Choices.model_fields.items()}
        return {name: value for name, default in defaults.items() if (value := getattr(self, name)) != default}


@dataclass(frozen=True)
class Numerics:
    """How networks compute. Both may change the last digits of what they say, and with them a cell at a threshold."""

    dtype: str = "float32"
    thread_count: int = field(default_factory=cpu_count)
    """The number of processors, which on one machine is also that of its segmenter."""


@dataclass(frozen=True)
class Params:
    """Parameters of a job; a preset fills in those that a request leaves open."""

    preset: str
    segmenter: str
    segmenter_revision: str
    embedder: str
    embedder_revision: str
    object_kind: str
    mpp: float
    slide_mpp: float
    shard_tile_count: int
    stain: Stain | None = None
    """What the slide is stained with; None where nobody knows, and then it is no part of any key."""
    tile_px: int = 512
    halo_px: int = HALO_PX
    second_halo_px: int = SECOND_HALO_PX
    region_tile_count: int = 4
    leaf_count: int = 160
    neighbour_count: int = 8
    seed: int = 0
    algorithm: str | None = None
    """How clusters are found; None is the way that is always there."""
    eps: float | None = None
    layout: str | None = None
    tile_gate: str = "default"
    """The rule that keeps tiles that were read: a name of TileGate."""
    normalize: str = "slide"
    """Which percentiles normalise a network's input: the slide's, or each image's own."""
    diameter_um: float | None = None
    min_area_um2: float | None = None
    flow_threshold: float | None = None
    cellprob_threshold: float | None = None
    niter: int | None = None
    max_size_fraction: float | None = None
    augment: bool | None = None
    channels: Sequence[str] | None = None
    keep_rejected: bool | None = None
    """What was chosen of how cells are found; None is the model's own, and no part of any key."""
    measures_objects: bool = False
    """Whether the segmenter's size model measures the slide's objects first."""
    include_geojson: str = ""
    exclude_geojson: str = ""
    """Polygons at level 0: only tiles in the former, if there are any, and none in the latter."""
    sample_tile_count: int = 0
    """Number of kept tiles, spread over the tissue; 0 keeps all."""
    origin_x_px: int = 0
    origin_y_px: int = 0
    """The grid's corner at level 0."""
    network_dtype: str = ""
    network_thread_count: int = 0
    """How the segmenter's network computes; empty and 0 for a segmenter without one, which does not depend on them."""
    embedder_dtype: str | None = None
    embedder_thread_count: int | None = None
    """How the embedder's network computes; None for an embedder without one."""
    changes: Sequence[Mapping[str, Any]] | None = None
    """What people had changed of the clusters, in this order: `node_id` and `part_count` of one that was split, or
    `locked_ids` of those that stayed and `cluster_count` where the rest was grouped anew."""
    change_of: str | None = None
    """The clustering that they looked at when they asked for the last change."""
    labels_of: str | None = None
    """The labelling that goes on in the new clustering."""

    @property
    def segmenter_ref(self) -> ModelRef:
        return ModelRef(name=self.segmenter, revision=self.segmenter_revision)

    @property
    def embedder_ref(self) -> ModelRef:
        return ModelRef(name=self.embedder, revision=self.embedder_revision)

    @property
    def tile_filter(self) -> TileFilter:
        return TileFilter(gate=TileGate.Value(f"TILE_GATE_{self.tile_gate.upper()}"))

    @property
    def selection(self) -> TileSelection:
        return TileSelection(
            include_geojson=self.include_geojson,
            exclude_geojson=self.exclude_geojson,
            sample_tile_count=self.sample_tile_count,
            seed=self.seed,
            filter=self.tile_filter,
        )

    @property
    def segmentation(self) -> dict[str, Any]:
        """What the segmenter is told of what was chosen, by the names of the contract."""
        named = {name: getattr(self, name) for name in Segmentation.model_fields}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def clustering(self) -> ClusterParams:
        """The clusterer's parameters, each from the parameter of the same name."""
        return ClusterParams(**{field.name: getattr(self, field.name) for field in ClusterParams.DESCRIPTOR.fields})

    def to_json(self) -> dict[str, Any]:
        """All of them but what is left open: a parameter that is new changes no job that does not choose it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def halo_px(mpp: float) -> int:
    """Halo of regions at a working scale."""
    return HALO_PX if HALO_PX * mpp >= LEAST_HALO_UM else WIDE_HALO_PX


def make_params(
    choices: Choices,
    known_mpp: float | None,
    registry: Iterable[models.ModelSpec] | None = None,
    numerics: Numerics | None = None,
    algorithms: Collection[str] | None = None,
    known_stain: Stain | None = None,
) -> Params:
    """Parameters from what a request chose and what is known about the slide; models and ways of clustering are this
    process's, or given. The embedder is the variant of the one asked for that suits the stain."""
    registry = None if registry is None else tuple(registry)
    segmenter, asked = models_of(choices, registry, algorithms)
    stain = choices.stain or known_stain
    embedder = models.variant(asked, stain, registry)
    chosen = _chosen(choices, algorithms)
    slide_mpp = chosen.get("slide_mpp") or known_mpp
    if not slide_mpp:
        raise SlideScaleUnknown(
            "Neither the slide nor the request says how many microns a pixel is wide: "
            "pass slide_mpp, for example 0.25 for a slide scanned with a 40x objective."
        )
    known = {
        "slide_mpp": slide_mpp,
        "stain": stain,
        "segmenter": segmenter.name,
        "segmenter_revision": segmenter.revision,
        "embedder": embedder.name,
        "embedder_revision": embedder.revision,
        "object_kind": segmenter.object_kind,
        "shard_tile_count": segmenter.shard_tile_count,
        "measures_objects": segmenter.measures_objects and choices.diameter_um is None,
        "include_geojson": _text(chosen.pop("include", None)),
        "exclude_geojson": _text(chosen.pop("exclude", None)),
        **_network(segmenter, "network", numerics or Numerics()),
        **_network(embedder, "embedder", numerics or Numerics()),
    }
    return Params(**{"halo_px": halo_px(chosen["mpp"])} | chosen | known)


def stored_params(stored: Mapping[str, Any]) -> Params:
    """Parameters of a job as they were kept. Before stains were told every slide was measured as the one stain that its
    embedder knows, and is still."""
    made = Params(**stored)
    embedder = next((row for row in models.rows() if (row.task, row.name) == ("embedder", made.embedder)), None)
    if made.stain is None and embedder and not embedder.suits(None):
        return replace(made, stain=embedder.stains[0])
    return made


def models_of(
    choices: Choices,
    registry: Iterable[models.ModelSpec] | None = None,
    algorithms: Collection[str] | None = None,
) -> tuple[models.ModelSpec, models.ModelSpec]:
    """Segmenter and embedder of a request, where all that it needs is there and can do what it asks of them."""
    chosen = _chosen(choices, algorithms)
    known = models.rows() if registry is None else tuple(registry)
    segmenter, embedder = _found(
        lambda: models.find(chosen["segmenter"], "segmenter", known),
        lambda: models.find(chosen["embedder"], "embedder", known),
        check=lambda: _check_ways(chosen, _ways(algorithms)),
    )
    _check_segmentation(segmenter, choices, chosen["mpp"])
    embedder.check_cells_of(segmenter)
    if chosen.get("algorithm") == clustering.IMPORTED and segmenter.name != imported.MODEL:
        raise InvalidArgument(
            f"The preset {choices.preset} keeps the clusters that came with a slide's cells, which {segmenter.name} "
            "finds anew: leave the segmenter to the preset, or choose another preset."
        )
    return segmenter, embedder


def _found(*finders: Callable[[], models.ModelSpec], check: Callable[[], None]) -> list[models.ModelSpec]:
    """What is found; an error names all that is missing, so that nobody learns of it piece by piece."""
    found: list[models.ModelSpec] = []
    missing: list[ModelUnavailable] = []
    for step in (*finders, check):
        try:
            found += [spec] if (spec := step()) else []
        except ModelUnavailable as error:
            missing.append(error)
    if missing:
        raise ModelUnavailable(". ".join(str(error) for error in missing), **missing[0].metadata)
    return found


def _chosen(choices: Choices, algorithms: Collection[str] | None) -> dict[str, Any]:
    """The preset with what the request asks for in place of it, and the way to cluster that is there."""
    if choices.preset not in PRESETS:
        raise InvalidArgument(f"There is no preset {choices.preset!r}; there are: {', '.join(PRESETS)}.")
    if choices.eps is not None and "eps" not in PRESETS[choices.preset]:
        raise InvalidArgument("eps is of the published clustering alone: leave it out, or choose the preset 'paper'.")
    chosen = {"preset": choices.preset} | PRESETS[choices.preset] | choices.asked
    if chosen.get("algorithm") == clustering.UMAP_DBSCAN:
        chosen["algorithm"] = clustering.published(_ways(algorithms))
    if "layout" in chosen:
        chosen["layout"] = clustering.LAYOUTS[clustering.published(_ways(algorithms))]
    return chosen


def _check_ways(chosen: Mapping[str, Any], there: Collection[str]) -> None:
    for way in (chosen.get("algorithm", ""), clustering.way_of(chosen.get("layout", ""))):
        clustering.check_installed(way, there)


def _ways(algorithms: Collection[str] | None) -> Collection[str]:
    return clustering.installed() if algorithms is None else algorithms


def _check_segmentation(segmenter: models.ModelSpec, choices: Choices, mpp: float) -> None:
    """Nothing that was asked is left out of account, and nothing is asked that cannot be done."""
    segmenter.check_asked({name: value for name, value in choices.asked.items() if name in Segmentation.model_fields})
    least, most = LEAST_DIAMETER_PX * mpp, LARGEST_DIAMETER_PX * mpp
    if choices.diameter_um is not None and not least <= choices.diameter_um <= most:
        raise InvalidArgument(
            f"diameter_um is {choices.diameter_um:g}: at a working scale of {mpp:g} um per px it lies in {least:g} to "
            f"{most:g}. Choose a finer mpp for smaller objects, a coarser one for larger ones."
        )


def _network(model: models.ModelSpec, name: str, numerics: Numerics) -> dict[str, Any]:
    if not model.is_network:
        return {}
    dtype = numerics.dtype if numerics.dtype in model.dtypes else model.dtypes[0]
    return {f"{name}_dtype": dtype, f"{name}_thread_count": numerics.thread_count}


def _text(regions: Mapping[str, Any] | None) -> str:
    return json.dumps(regions, separators=(",", ":")) if regions else ""


def params_digest(kind: str, subject: object, params: Params) -> str:
    """Digest of the parameters; jobs with the same digest are the same job."""
    return digest({"kind": kind, "subject": subject, "params": params.to_json()})


def cohort_params(sources: Sequence[Params]) -> Params:
    """Parameters of a cohort of jobs with these: the first ones', where the cells of all can be compared."""
    stains = {source.stain for source in sources}
    if len(stains) > 1:
        found = ", ".join(sorted(stain or "one that is not known" for stain in stains))
        raise FailedPrecondition(
            f"The slides have different stains ({found}), whose cells cannot be compared: take jobs of one stain, or "
            "say with a job which stain its slide has."
        )
    if any(source.embedder_ref != sources[0].embedder_ref for source in sources):
        raise FailedPrecondition("The jobs used different embedders: a cohort needs the same one for all.")
    if any((source.segmenter_ref, source.mpp) != (sources[0].segmenter_ref, sources[0].mpp) for source in sources):
        raise FailedPrecondition(
            "The jobs found their cells by different segmenters or at different scales, and the cells differ by that: "
            "take jobs that found them alike."
        )
    # Clusters that came with a slide are its own.
    came = sources[0].algorithm == clustering.IMPORTED
    return replace(sources[0], algorithm=None, leaf_count=Params.leaf_count) if came else sources[0]
