"""What answers about clusterings look like: their slides, clusters, cells and pictures."""

from morula.gateway.schemas import Answer, Listed, Time


class ClusteringSlide(Answer):
    """A slide of a clustering and the rows of its cells."""

    slide_id: str
    name: str
    job_id: str
    row_start: int
    row_stop: int
    mpp: float
    mixing: float | None
    """As of the whole; null where it has too few cells, and of a clustering of one slide."""


class Mixing(Answer):
    """Of the cells most like one, how many are of other slides: 1 is as by chance, 0 is none. With the interval of 95 %
    over slides."""

    score: float
    low: float
    high: float


class Split(Answer):
    """A cluster that was split: the clustering that it was of, which may have been deleted since, and its parts."""

    clustering_id: str
    node_id: int
    part_ids: list[int]


class Regrouping(Answer):
    """The rest was grouped anew: the clustering that it was of, which may have been deleted since, the clusters that
    stayed, and those that the rest falls into in the cut that is proposed, the largest first."""

    clustering_id: str
    locked_ids: list[int]
    cluster_ids: list[int]


class Clustering(Answer):
    """A clustering."""

    id: str
    name: str
    slides: list[ClusteringSlide]
    cell_count: int
    leaf_count: int
    noise_count: int
    cluster_count: int
    structure_found: bool
    mixing: Mixing | None
    """How well its slides mix; null where fewer than two have enough cells to say."""
    split: Split | None
    """The split that made it; null of one that was made otherwise."""
    regrouping: Regrouping | None
    """The same where it was made by grouping the rest anew."""
    feature_names: list[str]
    created_at: Time


class Clusterings(Listed):
    clusterings: list[Clustering]


class CellPicture(Answer):
    """A cell's centroid in level-0 px, where its picture lies on a sheet, and its outline in px of the picture."""

    row: int
    slide_id: str
    x_px: float
    y_px: float
    sheet: str
    column: int
    line: int
    column_count: int
    line_count: int
    cell_px: int
    window_um: float
    outline: list[tuple[float, float]]


class NearPicture(CellPicture):
    """A cell, and the cluster that is nearest to it beside its own; null where there is none."""

    near_node_id: int | None


class Cluster(Answer):
    """A cluster of a cut."""

    node_id: int
    cell_count: int
    supported: bool
    sentence: str
    representatives: list[CellPicture]
    """Typical ones."""
    borderline: list[NearPicture]
    """Those between it and another cluster, the most doubtful first."""
    outlying: list[CellPicture]
    """Others that are farthest from all that is common in it, the farthest first."""


class Noise(Answer):
    """The cells in no cluster."""

    cell_count: int
    sentence: str
    representatives: list[NearPicture]


class Clusters(Answer):
    clusters: list[Cluster]
    noise: Noise | None
    """Null where every cell is in a cluster."""
    node_of_leaf: list[int]
    count: int


class Cell(Answer):
    """A cell with its centroid and outline in level-0 px."""

    row: int
    cell_id: str
    x_px: float
    y_px: float
    leaf: int
    outline: list[tuple[float, float]]


class Cells(Answer):
    cells: list[Cell]
    truncated: bool
    total_count: int


class Block(Answer):
    """A square of the slide, its corner in level-0 px, whose cells are a range of rows."""

    number: int
    x_px: int
    y_px: int
    row_start: int
    row_stop: int


class Blocks(Answer):
    block_px: int
    blocks: list[Block]
