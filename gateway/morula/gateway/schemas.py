"""What requests and answers look like."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from morula.common.models import Commercial, Task
from morula.common.stain import Stain
from morula.gateway.fields import Identifier, Name, NodeId, Request, Scale, StainWord
from morula.gateway.pipeline.params import Choices, Stage


def _time(value: object) -> object:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, float | int) else value


Time = Annotated[datetime, BeforeValidator(_time)]
JobKind = Literal["slide", "cohort", "split", "regrouping", "addition", "evaluation"]
JobVerdict = Literal["cells", "no_tissue", "no_cells"]
JobState = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
Asked = Annotated[bool, BeforeValidator(lambda since: since is not None)]
"""Whether there is a time since when something is asked for."""


class Answer(BaseModel):
    """An answer's body, made from a row or from values."""

    model_config = ConfigDict(extra="ignore", frozen=True, from_attributes=True)


class Listed(Answer):
    """A part of a list."""

    next_cursor: str | None
    """Asks for the part after this one; null at the end."""


class Readiness(Answer):
    """Whether everything behind the gateway answers."""

    state: Literal["ready", "not ready"]
    database: Literal["ready", "away"]
    services: dict[str, bool]
    writable: dict[str, bool]


class SlideReference(Request):
    """A slide that is here already: below a named folder, or an object of the store."""

    path: Annotated[str, Field(max_length=1024)] | None = None
    key: Annotated[str, Field(max_length=1024)] | None = None
    name: Name | None = None
    mpp: Scale | None = None
    stain: StainWord | None = None
    tissue: Name | None = None


class SlideFields(BaseModel):
    """Fields of an upload's form beside its files."""

    model_config = ConfigDict(extra="forbid")
    name: Name | None = None
    mpp: Scale | None = None
    stain: StainWord | None = None
    tissue: Name | None = None


class Board(Answer):
    """A labelling of a slide's cells, and how much was said in it."""

    id: str
    clustering_id: str
    job_id: str
    segmenter: str | None
    page_count: int
    """Pages that were named."""
    word_count: int
    """Pages, cells and clusters that were named."""
    cell_count: int
    slide_count: int
    moved_from: str | None
    created_at: Time


class Slide(Answer):
    """A slide."""

    id: str
    name: str
    digest: str
    width_px: int
    height_px: int
    mpp: float | None
    mpp_assumed: bool
    objective_power: float | None
    vendor: str
    size_bytes: int
    levels: list[dict[str, float]]
    stain: Stain | None
    stain_detected: bool
    """Nobody said it: it is what the colours tell."""
    tissue: str | None
    created_at: Time
    labellings: list[Board]
    """In the order in which to offer them: where something was said first, the newest first."""
    deleting: Asked = Field(validation_alias="deleting_since")
    """It goes as soon as its jobs have ended."""


class Slides(Listed):
    slides: list[Slide]


class ModelSpeed(Answer):
    """Mean of a model's recent shards here, whatever else the machine did and was asked."""

    seconds_per_mm2: float
    """Of kept tiles."""
    seconds_per_megapixel: float
    """At the working scale."""
    shard_count: int


class Model(Answer):
    """A model that finds cells (segmenter) or describes them (embedder)."""

    name: str
    task: Task
    revision: str
    is_default: bool
    stains: list[Stain | None]
    """Of slides with which stains it describes cells, null of such as nobody knows; empty of all."""
    variant_of: str | None
    """The embedder in whose place it stands for slides with its stains: name that one."""
    object_kind: str
    mpp: float
    object_um: float
    measures_objects: bool
    channels: list[str]
    dtypes: list[str]
    """What a network can compute in; empty for one without a network."""
    licence: str
    trained_on: str
    commercial: Commercial
    refusal: str | None
    """Why jobs may not use it here."""
    defaults: dict[str, float | bool | str | list[str] | None]
    """The fields of a job's request that it takes notice of, with what it does where they are left out."""
    speed: ModelSpeed | None
    """Null where it has not worked here yet."""


class Models(Answer):
    models: list[Model]


class JobRequest(Choices):
    """Which slide to work on, and how; what is left open comes from the preset."""

    slide_id: Identifier


class CohortRequest(Request):
    """Which finished jobs to cluster together."""

    job_ids: Annotated[list[Identifier], Field(min_length=1, max_length=1000)]
    name: Name | None = None


class SplitRequest(Request):
    """Which cluster to split into how many parts, and whose labels come along."""

    node_id: NodeId
    part_count: Annotated[int, Field(ge=2, le=16)] = 2
    labelling_id: Identifier | None = None
    """A labelling of this clustering; without one the newest labels of its cells come along."""


class RegroupingRequest(Request):
    """Whose named clusters stay while all other cells are grouped anew, and into how many clusters at most."""

    labelling_id: Identifier
    """A labelling of this clustering: `locked_node_ids` of it are what stays, and what was said in it comes along."""
    cluster_count: Annotated[int, Field(ge=0, le=4096)] = 0
    """0: as many as stand apart."""


class AdditionRequest(Request):
    """Which finished job's slide to add to a clustering, and whose labels go on."""

    job_id: Identifier
    labelling_id: Identifier | None = None
    """A labelling of this clustering; without one the newest labels of its cells come along."""


class StageProgress(Answer):
    """How far a stage is."""

    stage: Stage
    done_count: int
    total_count: int
    seconds: float


class Job(Answer):
    """A job."""

    id: str
    slide_id: str | None
    slide_name: str | None
    kind: JobKind
    state: JobState
    verdict: JobVerdict | None
    stage: Stage | None
    stages: list[StageProgress]
    params: dict[str, Any]
    cell_count: int | None
    truncated_cell_count: int | None
    unembedded_cell_count: int | None
    tile_count: int | None
    kept_tile_count: int
    failed_tile_count: int
    clustering_id: str | None
    """Of an evaluation: which one is measured."""
    labelling_id: str | None
    result_digest: str | None
    error: dict[str, Any] | None
    waiting_for: str | None
    """What is away that a running job needs; it goes on when it is back."""
    attempt: int
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    deleting: Asked = Field(validation_alias="deleting_since")
    """It goes as soon as it has ended."""


class Jobs(Listed):
    jobs: list[Job]


class JobFile(Answer):
    """A file that a job left."""

    name: str
    size_bytes: int
    sha256: str


class JobFiles(Answer):
    files: list[JobFile]
