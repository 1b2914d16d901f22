"""What requests and answers about truths and evaluations look like."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from morula.gateway.fields import Identifier, Name, Request
from morula.gateway.schemas import Answer, Asked, JobState, Listed, Time


class TruthFields(BaseModel):
    """Fields of a truth's form beside its file."""

    model_config = ConfigDict(extra="forbid")
    name: Name | None = None


class TruthReference(Request):
    """A truth that is here already: below a named folder, or an object of the store. Its bytes are copied."""

    path: Annotated[str, Field(max_length=1024)] | None = None
    key: Annotated[str, Field(max_length=1024)] | None = None
    name: Name | None = None


class SampleTruth(Request):
    """A sample whose labels, as they are now, are to be a truth."""

    sample_id: Identifier
    name: Name | None = None
    annotator: Name | None = None
    """Whose labels; all annotators', where it is left out."""
    leave_out_badly_segmented: bool = False
    """Cells that are flagged are no part of the truth, whatever class they have."""


class TruthClass(Answer):
    """A class of a truth, and how many rows, points or shapes are of it."""

    name: str
    row_count: int


class Truth(Answer):
    """What somebody said of cells."""

    id: str
    name: str
    kind: Literal["cells", "points", "shapes"]
    row_count: int
    classes: list[TruthClass]
    size_bytes: int
    sha256: str
    sample_id: str | None
    """The sample that it was made of, which may have been deleted since."""
    sample_seq: int | None
    """Its labels are those after this event."""
    created_at: Time


class Truths(Listed):
    truths: list[Truth]


class EvaluationChoices(Request):
    """How to match and measure; what is left open is the evaluator's default."""

    reach_um: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] | None = None
    """How far a cell's centroid may lie from a point or outline that fits no cell."""
    draw_count: Annotated[int, Field(ge=100, le=10_000)] | None = None
    fold_count: Annotated[int, Field(ge=2, le=20)] | None = None
    click_count: Annotated[int, Field(ge=10, le=1000)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None


class EvaluationRequest(EvaluationChoices):
    """What to measure: the clusters of a clustering, or the labels of a labelling as they are now."""

    truth_id: Identifier
    clustering_id: Identifier | None = None
    labelling_id: Identifier | None = None
    cluster_count: Annotated[int, Field(ge=0, le=4096)] = 0
    """Into how many clusters the tree is cut; 0 is as many as it proposes."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.clustering_id is None) == (self.labelling_id is None):
            raise ValueError("name either a clustering_id or a labelling_id")
        if self.labelling_id is not None and self.cluster_count:
            raise ValueError("cluster_count is of a clustering: labels are measured as they are")
        return self


class Evaluation(Answer):
    """An evaluation. Its job has the same id; cancel, retry and delete it there."""

    id: str
    state: JobState
    clustering_id: str
    labelling_id: str | None
    """Whose labels were measured; it may have been deleted since."""
    labelling_seq: int | None
    """The labels are those after this event."""
    truth_id: str
    cluster_count: int
    choices: dict[str, Any]
    error: dict[str, Any] | None
    waiting_for: str | None
    attempt: int
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    deleting: Asked = Field(validation_alias="deleting_since")


class Evaluations(Listed):
    evaluations: list[Evaluation]


class EvaluationDifferences(Answer):
    """An evaluation minus another against the same truth, over the cells that both have, as `comparison` of
    `evaluation.json` of `morula evaluate --against` has it."""

    evaluation_id: str
    against_id: str
    truth_id: str
    cell_count: int
    left_out_count: int
    """Matched cells that only the first one has."""
    cluster_counts: list[int]
    paper: list[float]
    """Accuracy of both, as published."""
    of_both: list[dict[str, Any]]
    difference: dict[str, Any]
    """Each number with its interval: where that does not hold 0, one of the two is better."""


class EvaluationNumbers(Evaluation):
    """An evaluation with its numbers, as `evaluation.json` has them; null until it has succeeded."""

    of: dict[str, Any] | None = None
    """Names of the slides, and whether clusters or labels were measured."""
    match_rate: float | None = None
    match: dict[str, Any] | None = None
    remarks: list[str] | None = None
    paper: dict[str, Any] | None = None
    honest: dict[str, Any] | None = None
    named: dict[str, Any] | None = None
    """Of labels: how many are right by their names; null where none is called like a class of the truth."""
    agreement: dict[str, Any] | None = None
    """Where a truth names its annotators: how far they agree."""
