"""What a run of training is told: one TOML file."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from morula.common.errors import InvalidArgument
from morula.common.models import Commercial

DATA_VARIABLE = "MORULA_DATA"


Offset = Annotated[int, Field(ge=0, le=100_000)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Table):
    """Images and labels of one origin."""

    name: str
    path: str = ""
    """A folder or a zip with `images/` and, by the same names, `labels/`: 16-bit images or GeoJSON."""
    slides: str = ""
    """In place of a path: a folder of slides, each with the GeoJSON of its cells, at level 0, beside it."""
    mpp: float = Field(0.0, ge=0, le=10)
    """Microns per pixel: of images, where it is known, and at which slides are read (0.5 unless given)."""
    mpp_column: str = ""
    """Column of the index that has it for each image."""
    index: str = ""
    """A CSV with the column `id`, and what the next three name."""
    group_column: str = "group"
    group_pattern: str = ""
    """A regular expression that finds the group in an image's name, where there is no index."""
    kind_column: str = ""
    """What kind of image it is, by which scores are shown and sampling is balanced; the source's name without it."""
    patch_offsets_px: tuple[tuple[Offset, Offset], ...] = ()
    """Where images lie that are patches of one, as x and y in it: names end in `_` and a place in this list, from 0."""
    synthetic_seeds: tuple[int, ...] = ()
    """Seeds of synthetic slides, which take the place of a path; each is a group."""
    licence: str = ""
    credit: str = ""

    @field_validator("group_pattern")
    @classmethod
    def _is_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"it is no regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _has_one_origin(self) -> Source:
        if sum(map(bool, (self.path, self.slides, self.synthetic_seeds))) != 1:
            raise ValueError(f"source {self.name} needs one of path, slides and synthetic_seeds")
        if len(set(self.patch_offsets_px)) < len(self.patch_offsets_px):
            raise ValueError(f"two patches of source {self.name} begin at one place")
        return self


class Split(_Table):
    """Which groups are not learned from, as `source/group`; shares pick more by the hash of their names."""

    watch: tuple[str, ...] = ()
    """Groups that decide when to stop and which weights are best."""
    test: tuple[str, ...] = ()
    """Groups that decide nothing: what the card says of the network is measured on them."""
    watch_share: float = Field(0.0, ge=0, lt=1)
    test_share: float = Field(0.0, ge=0, lt=1)


class Schedule(_Table):
    """How long and how fast. Rates rise over the first `warm_up` steps and fall over the last `decay`."""

    steps: int = Field(ge=1)
    batch: int = Field(ge=1)
    parts: int = Field(1, ge=1)
    """Parts of a batch that are learned from side by side, each on one thread."""
    rate: float = Field(gt=0)
    warm_up: int = Field(0, ge=0)
    decay: int = Field(0, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(0.0, ge=0)
    """Largest norm of a gradient; 0 is any."""
    average: float = Field(0.99, ge=0, lt=1)
    """How much of the moving average of the weights stays at each step."""
    save_every: int = Field(100, ge=1)
    watch_every: int = Field(100, ge=1)
    patience: int = Field(0, ge=0)
    """Ends after so many looks at the watched groups without a better score; 0 never does."""

    @model_validator(mode="after")
    def _divides(self) -> Schedule:
        if self.batch % self.parts:
            raise ValueError(f"a batch of {self.batch} has no {self.parts} equal parts")
        return self


class Row(_Table):
    """What the registry of models says of the network, where that is not of its family."""

    mpp: float = Field(0.5, ge=0.05, le=10)
    """Microns per pixel that slides are read at."""
    object_um: float = Field(8.0, gt=0)
    """Diameter of a typical object."""
    commercial: Commercial = "unclear"
    """Whether licence and training data allow commercial use."""


class Config(_Table):
    """The whole file. `settings` are the objective's own, which it checks itself."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    objective: Literal["flows", "cellpose-sam", "cell-crops"]
    seed: int = Field(0, ge=0)
    sources: tuple[Source, ...] = Field(min_length=1)
    shares: dict[str, float] = {}
    """How often each kind of image is drawn, relative to the others; all alike where there are none."""
    split: Split = Split()
    schedule: Schedule
    settings: dict[str, Any] = {}
    licence: str = ""
    """Of the weights."""
    notes: str = ""
    """What the card says first."""
    row: Row = Row()


def read_config(path: Path) -> Config:
    """The file, checked; one line says what is wrong with it."""
    try:
        return Config.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidArgument(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        raise InvalidArgument(f"{path}: {said_of(error)}") from error


def said_of(error: ValidationError) -> str:
    """Where a table is wrong, and how."""
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors())


def data_root(config: Path) -> Path:
    """Where relative paths of a configuration begin: the folder that MORULA_DATA names, or the file's own."""
    named = os.environ.get(DATA_VARIABLE)
    return Path(named) if named else config.parent
