"""What requests and answers about labels look like."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from morula.gateway.clustering_schemas import CellPicture
from morula.gateway.fields import Colour, Identifier, Name, Request
from morula.gateway.schemas import Answer, Listed, Time


class NewClass(Request):
    name: Name
    color: Colour | None = None


class NewLabelSet(Request):
    name: Name
    classes: Annotated[list[NewClass], Field(max_length=249, default_factory=list)]


class ClassChange(Request):
    name: Name | None = None
    color: Colour | None = None


class LabelClass(Answer):
    number: int
    name: str
    color: str
    key: str | None


class LabelSet(Answer):
    id: str
    name: str
    classes: list[LabelClass]


class LabelSets(Listed):
    label_sets: list[LabelSet]


class NewLabelling(Request):
    """An empty labelling by a label set, or one that begins with what was said in another one about the same cells."""

    clustering_id: Identifier
    label_set_id: Identifier | None = None
    from_labelling_id: Identifier | None = None

    @model_validator(mode="after")
    def _one_label_set(self) -> "NewLabelling":
        if self.label_set_id is not None and self.from_labelling_id is not None:
            raise ValueError(
                "give label_set_id or from_labelling_id, not both: labels that are taken along keep their label set"
            )
        return self


class Event(Answer):
    seq: int
    actor: str
    time: Time
    kind: str
    body: dict[str, Any]


class Events(Listed):
    events: list[Event]


class CutRequest(Request):
    cluster_count: Annotated[int, Field(ge=1, le=4096)]


class Cut(Answer):
    """Node of each leaf, and the class that each node's name gives it."""

    cluster_count: int
    node_of_leaf: list[int]
    names: list[dict[str, int]]


class HeldOut(Answer):
    """How good the labels of cells that nobody saw are, from `cell_count` cells on `page_count` pages held out.

    Among the cells to which what spreads gives a class, `accuracy` estimates the share of right ones, with its 95 %
    interval. Of cluster names it is what was measured; of a model it lies halfway between `model_accuracy`, which was,
    and the model's mean confidence in the cells that nobody saw. Model and cluster names are compared by their own
    accuracies, where no class counts as wrong.
    """

    accuracy: float
    low: float
    high: float
    cell_count: int
    page_count: int
    model_accuracy: float
    cluster_accuracy: float
    model_macro_f1: float
    cluster_macro_f1: float
    constant_macro_f1: float
    constant_accuracy: float
    """Of calling every cell by the class that was commonest on the other pages."""
    named_share: float
    """Share of the held-out cells to which a cluster's name gave a class without their page."""


class ClassCount(Answer):
    class_number: int
    cell_count: int


class NamedCluster(Answer):
    node_id: int
    class_number: int
    explicit: bool


class LastEvent(Answer):
    seq: int
    kind: str
    sentence: str


class MovedLabels(Answer):
    """What came along from an earlier labelling of the same cells, and what did not."""

    from_labelling_id: str
    cell_count: int
    dropped_cell_count: int
    dropped_name_count: int


class State(Answer):
    """A labelling as its events leave it, with what was learnt from them."""

    id: str
    clustering_id: str
    label_set: LabelSet
    seq: int
    learned_seq: int
    """Events that the numbers below rest on; below `seq` while the labeller is behind."""
    version: int
    spread: Literal["none", "model", "clusters"]
    held_out: HeldOut | None
    cell_count: int
    sure_count: int
    seen_count: int
    page_count: int
    """Pages that were looked at: named or put off, each once."""
    mark_count: int
    class_counts: list[ClassCount]
    unlabelled_count: int
    cluster_names: list[NamedCluster]
    locked_node_ids: list[int]
    """Clusters that stay when the rest is grouped anew: named whole, by their seen cells, or by a page of theirs."""
    cluster_count: int
    marks: list[tuple[int, int]]
    """Row and class of each cell that a person spoke of; 255 for "not sure"."""
    odd: list[tuple[int, int]]
    """Row of each odd cell and the class that it is not of."""
    learned_s: float | None
    last_event: LastEvent | None
    can_undo: bool
    moved: MovedLabels | None


class AppendedState(State):
    """The labelling after an event: it may hold what others said meanwhile, too."""

    event_seq: int
    """The number of the event itself; `seq` is that of the newest one."""


class Labellings(Listed):
    labellings: list[State]


class Place(Answer):
    node_id: int
    """0 where the page is of cells in no cluster."""
    leaf: int
    cell_count: int


class PageCell(CellPicture):
    letter: str
    class_number: int | None
    confidence: float | None
    near_node_id: int | None
    """Of a cell in no cluster, the cluster that is nearest to it; null of others, and where nothing is known of it."""


class Fact(Answer):
    """One measure of a page's cells, in units people read, and where it lies among all cells of the slide."""

    name: str
    unit: str
    value: float
    low: float
    high: float
    position: float
    histogram: list[int]


class Where(Answer):
    """Cells of a page's cluster on the slide: centroids in level-0 px."""

    slide_id: str
    points: list[tuple[float, float]]
    thumbnail: str


class Page(Answer):
    number: int
    seq: int
    """The last event that the page was made after; whoever names it sends it back as `page_seq`."""
    place: Place
    """Whoever names the page sends it back."""
    cluster_count: int
    """Clusters of the cut that lie in the page's node: several where it is above the cut, 0 where it is below."""
    reason: Literal["largest_cluster", "least_sure", "requested"]
    worth: float
    sentence: str
    window_um: float
    cells: list[PageCell]
    facts: list[Fact]
    where: Where
