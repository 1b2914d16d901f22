"""What a row of the registry of models says. Data only: who runs them is the business of segmenter and embedder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal, get_args

from morula.common.errors import InvalidArgument, LicenceForbids
from morula.common.keys import digest
from morula.common.segmentation import OfRow, Parameters
from morula.common.stain import Stain

Task = Literal["segmenter", "embedder"]
Commercial = Literal["yes", "no", "unclear"]
Profile = Literal["research", "commercial"]
"""What models are used for: in research all may be, commercially those alone of which it is known."""
PROFILES: tuple[Profile, ...] = get_args(Profile)
ANY_USE: Profile = "research"


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
