"""Pages: which cells to show next, how they differ from the others, and where they are."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from morula.common.cluster_names import inherit_names
from morula.common.errors import NotFound
from morula.common.formats import NOISE_LEAF
from morula.gateway.label_schemas import Fact, Page, PageCell, Place, Where
from morula.gateway.labels.facts import facts, sentence, standings
from morula.gateway.labels.fold import counting, fold
from morula.gateway.labels.kinds import NO_CLUSTER
from morula.gateway.labels.learning import Learning, Snapshot, TreeCut
from morula.gateway.labels.state import LabelEvent
from morula.gateway.pictures import WINDOW_UM, cell_pictures
from morula.gateway.views import ClusteringView, Rows, Views
from morula.gateway.workers import Workers
from morula.v1.labeller_pb2 import (
    PAGE_REASON_LARGEST_CLUSTER,
    PAGE_REASON_LEAST_SURE,
    NextPageRequest,
    NextPageResponse,
    PagePlace,
)
from morula.v1.labeller_pb2 import PageCell as MessageCell

LETTERS = "ABCDEFGHIJKL"
POINT_LIMIT = 400
REASONS = {PAGE_REASON_LARGEST_CLUSTER: "largest_cluster", PAGE_REASON_LEAST_SURE: "least_sure"}


@dataclass(frozen=True)
class PageWish:
    """Which page somebody asks for: of a cluster, of the cells in none, or of any (0)."""

    node_id: int
    cell_count: int
    noise: bool


class Paging:
    """Makes pages."""

    def __init__(self, workers: Workers, views: Views, learning: Learning) -> None:
        self._workers = workers
        self._views = views
        self._learning = learning

    async def next_page(self, labelling_id: str, wish: PageWish) -> Page | None:
        """The page that is worth most, or the best of what was wished for; None if everything was seen."""
        return await self._learning.reading(labelling_id, lambda: self._next_page(labelling_id, wish))

    async def _next_page(self, labelling_id: str, wish: PageWish) -> Page | None:
        snapshot = await self._learning.snapshot(labelling_id)
        view = await self._views.get(snapshot.row["clustering_id"])
        cut = await self._learning.cut(view, snapshot.row["cluster_count"])
        answer = await self._workers.next_page(_request(snapshot, view, cut, wish))
        if not answer.cells:
            return None
        return await asyncio.to_thread(_page, answer, snapshot, view, cut)

    async def named_page(self, labelling_id: str, log: Sequence[LabelEvent], seq: int) -> Page:
        """The page that an event named, with the pre-labels that were shown then."""
        named = [event for event in counting(log) if event.kind == "page_named" and event.seq <= seq]
        if not named or named[-1].seq != seq:
            raise NotFound(f"Event {seq} names no page, or was undone.", seq=str(seq))
        snapshot = await self._learning.snapshot(labelling_id)
        view = await self._views.get(snapshot.row["clustering_id"])
        cut = await self._learning.cut(view, snapshot.row["cluster_count"])
        page = await asyncio.to_thread(_page, _shown(named[-1]), snapshot, view, cut)
        number = fold(named).pages[named[-1].body["cells"][0]["row"]].number
        return page.model_copy(update={"number": number, "seq": seq - 1})


def _shown(event: LabelEvent) -> NextPageResponse:
    place, cells = event.body["place"], event.body["cells"]
    return NextPageResponse(
        place=PagePlace(node_id=place["node_id"], leaf=place["leaf"]),
        cells=[MessageCell(row=cell["row"], class_number=cell["shown_class_number"] or 0) for cell in cells],
    )


def _request(snapshot: Snapshot, view: ClusteringView, cut: TreeCut, wish: PageWish) -> NextPageRequest:
    request = NextPageRequest(
        clustering=view.artifacts,
        node_of_leaf=cut.node_of_leaf,
        seen_rows=sorted(snapshot.labels.seen_rows),
        past=[PagePlace(node_id=page.node_id, leaf=page.leaf) for page in snapshot.labels.pages.values()],
        cell_count=wish.cell_count,
        node_id=wish.node_id,
        noise=wish.noise,
    )
    if snapshot.learnt.has_layers:
        request.class_layer.CopyFrom(snapshot.learnt.answer.class_layer)
        request.confidence_layer.CopyFrom(snapshot.learnt.answer.confidence_layer)
    return request


def _page(answer: NextPageResponse, snapshot: Snapshot, view: ClusteringView, cut: TreeCut) -> Page:
    members = rows_of_place(view, cut, answer.place.node_id, answer.place.leaf)
    if not len(members):  # The page was named in a cluster of another cut.
        members = np.array([cell.row for cell in answer.cells], np.int64)
    measured, text = describe(view, members)
    pictures = cell_pictures(view, [cell.row for cell in answer.cells])
    return Page(
        number=len(snapshot.labels.pages) + 1,
        seq=snapshot.labels.seq,
        place=Place(node_id=answer.place.node_id, leaf=answer.place.leaf, cell_count=len(members)),
        cluster_count=len(_clusters_below(view, cut, answer.place.node_id)),
        reason=REASONS.get(answer.reason, "requested"),
        worth=answer.worth,
        sentence=text,
        window_um=WINDOW_UM,
        cells=[
            PageCell(
                **picture.model_dump(),
                letter=letter,
                class_number=cell.class_number or None,
                confidence=cell.confidence if cell.class_number else None,
                near_node_id=cell.near_node_id or None,
            )
            for letter, picture, cell in zip(LETTERS, pictures, answer.cells, strict=False)
        ],
        facts=measured,
        where=_where(view, members, answer.cells[0].row),
    )


def rows_of_place(view: ClusteringView, cut: TreeCut, node_id: int, leaf: int) -> Rows:
    """Rows of a leaf, or of the whole cluster if the leaf is NOISE_LEAF: one of the cut, or several together."""
    if leaf != NOISE_LEAF or node_id == NO_CLUSTER:
        return view.rows_in([leaf])
    below = _clusters_below(view, cut, node_id)
    return view.rows_in([number for number, node in enumerate(cut.node_of_leaf) if node in below])


def _clusters_below(view: ClusteringView, cut: TreeCut, node_id: int) -> Collection[int]:
    """Clusters of the cut that lie in a node of the tree, itself among them."""
    return inherit_names({node_id: node_id}, cut.nodes, view.parents)


def describe(view: ClusteringView, rows: Rows) -> tuple[list[Fact], str]:
    """How these rows differ from all others, as numbers and as a sentence."""
    notable = standings(view.measures, view.distributions, rows)
    return facts(view.distributions, notable), sentence(notable, "slide" if len(view.slides) == 1 else "cohort")


def _where(view: ClusteringView, members: Rows, shown_row: int) -> Where:
    """Centroids of some of these cells on their slide, in level-0 px."""
    slide = view.slide_of(shown_row)
    mine = members[(members >= slide.row_start) & (members < slide.row_stop)] - slide.row_start
    chosen = mine[np.linspace(0, len(mine) - 1, min(len(mine), POINT_LIMIT)).astype(np.int64)]
    points = np.stack([slide.x_px[chosen], slide.y_px[chosen]], axis=1)
    return Where(
        slide_id=slide.slide_id,
        points=[(x, y) for x, y in points.tolist()],
        thumbnail=f"/v1/slides/{slide.slide_id}/thumbnail.jpeg?max_px=512",
    )
