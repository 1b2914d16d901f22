"""Has the labeller learn from a labelling's events, keeps what it learnt, and tries again while it is away.

Layers that are missing or damaged are learnt again as soon as they are read, or as the same is to be learnt.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakValueDictionary

from sqlalchemy import Connection

from morula.common.cluster_names import inherit_names
from morula.common.errors import DAMAGED, ArtifactInvalid, MorulaError, NotFound, Unavailable
from morula.common.keys import artifact_key, digest
from morula.common.store import Store
from morula.common.telemetry import log
from morula.gateway.burial import Burial
from morula.gateway.labels.fold import fold
from morula.gateway.labels.state import LabelEvent, Labels
from morula.gateway.ledger import artifacts, clusterings, labels, objects
from morula.gateway.ledger.artifacts import Made
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.records import Record
from morula.gateway.pipeline.repair import is_damaged
from morula.gateway.pipeline.units import what_is_wrong
from morula.gateway.refs import from_json, to_json
from morula.gateway.tasks import keep_running
from morula.gateway.views import ClusteringView, Views
from morula.gateway.workers import Workers
from morula.v1.labeller_pb2 import (
    ClusterName,
    CutTreeRequest,
    CutTreeResponse,
    LearnLabelsRequest,
    LearnLabelsResponse,
    NearCell,
    SeenCell,
)

T = TypeVar("T")

CATCH_UP_PAUSES_S = (0.5, 1.0, 2.0, 5.0, 15.0)
LAYER_STAGES = ("class", "label_confidence", "model")
MEND_LIMIT = 5
"""One reading has layers learnt again so often; after that the damage is no accident."""


@dataclass(frozen=True)
class Learnt:
    """What was learnt from the events up to `seq`."""

    seq: int
    answer: LearnLabelsResponse
    learned_s: float

    @property
    def has_layers(self) -> bool:
        return bool(self.answer.class_layer.key)


NOTHING = Learnt(0, LearnLabelsResponse(), 0.0)


@dataclass(frozen=True)
class Snapshot:
    """A labelling as the ledger has it."""

    row: Record
    events: list[LabelEvent]
    labels: Labels
    learnt: Learnt

    @property
    def is_behind(self) -> bool:
        return self.learnt.seq < self.labels.seq


@dataclass(frozen=True)
class NearRow:
    """A row and the cluster that is nearest to it beside its own; None where there is none."""

    row: int
    node_id: int | None


@dataclass(frozen=True)
class CutCluster:
    """A cluster of a cut, with rows that show what it holds."""

    node_id: int
    cell_count: int
    supported: bool
    typical: Sequence[int]
    borderline: Sequence[NearRow]
    outlying: Sequence[int]


@dataclass(frozen=True)
class TreeCut:
    """A cut of the tree: node of each leaf, its clusters, largest first, and the cells in none."""

    node_of_leaf: Sequence[int]
    clusters: Sequence[CutCluster]
    noise_count: int
    noise: Sequence[NearRow]

    @property
    def nodes(self) -> list[int]:
        return sorted(set(self.node_of_leaf))


class Learning:
    """Has the labeller learn, and reads what it learnt."""

    def __init__(self, ledger: Ledger, workers: Workers, store: Store, views: Views) -> None:
        self._ledger = ledger
        self._store = store
        self._workers = workers
        self._views = views
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._catching_up: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Stop catching up; the next reader of a labelling that is behind starts it again."""
        ending = list(self._catching_up.values())
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def snapshot(self, labelling_id: str) -> Snapshot:
        """The labelling as it is now."""
        return await self._ledger.read(snapshot_of, labelling_id)

    async def cut(self, view: ClusteringView, cluster_count: int) -> TreeCut:
        """The tree cut into so many clusters; the labeller makes it once and the ledger keeps it."""
        body = await self._ledger.read(clusterings.find_cut, view.id, cluster_count)
        if body is None:
            request = CutTreeRequest(clustering=view.artifacts, cluster_count=cluster_count)
            body = to_json(await self._workers.cut_tree(request))
            await self._ledger.write(clusterings.keep_cut, view.id, cluster_count, body)
        return _tree_cut(from_json(body, CutTreeResponse))

    async def learn(self, labelling_id: str) -> None:
        """Learn from all events so far, if that is not done yet; after an error it is tried again in the background."""
        try:
            await self._learn(labelling_id)
        except MorulaError as error:
            log.warning("labeller behind", labelling_id=labelling_id, reason=error.reason, detail=str(error))
            self.catch_up(labelling_id)

    async def reading(self, labelling_id: str, read: Callable[[], Awaitable[T]]) -> T:
        """The result of `read`; if it finds layers missing or damaged, they are learnt again and it is called again."""
        for _ in range(MEND_LIMIT):
            try:
                return await read()
            except DAMAGED as error:
                key = error.metadata.get("key", "")
                if not is_layer(key):
                    raise
                log.warning("learnt again", labelling_id=labelling_id, reason=error.reason, detail=str(error))
                await self._lose(labelling_id, key, certainly=isinstance(error, ArtifactInvalid))
                await self.learn(labelling_id)
        raise Unavailable("What was learnt is damaged whenever it is read: is the store's disk sound?")

    async def _lose(self, labelling_id: str, key: str, *, certainly: bool) -> None:
        """Forget a layer that is missing or damaged, and delete what is left of it."""
        async with self._lock(labelling_id):
            if certainly or await is_damaged(self._ledger, self._store, key):
                await Burial(self._ledger, self._store).drop(key)
                sound = None
            else:  # It was learnt again meanwhile, for this labelling or for another with the same labels.
                known = (await self._ledger.read(artifacts.find_made, [key])).get(key)
                sound = known["sha256"] if known is not None else None
            await self._ledger.write(labels.lose_layers, labelling_id, key, sound)

    def catch_up(self, labelling_id: str) -> None:
        """Keep trying in the background until the labeller has learnt from every event."""
        if labelling_id not in self._catching_up:
            name = f"catch-up-{labelling_id}"
            task = asyncio.create_task(keep_running(name, lambda: self._catch_up(labelling_id)), name=name)
            self._catching_up[labelling_id] = task
            task.add_done_callback(lambda _: self._catching_up.pop(labelling_id, None))

    async def _catch_up(self, labelling_id: str) -> None:
        for attempt in range(10**6):
            await asyncio.sleep(CATCH_UP_PAUSES_S[min(attempt, len(CATCH_UP_PAUSES_S) - 1)])
            try:
                await self._learn(labelling_id)
                return
            except NotFound:
                return  # The labelling was deleted.
            except DAMAGED as error:  # An artifact of the job: after its retry the next reader starts this again.
                log.warning("labeller stays behind", labelling_id=labelling_id, reason=error.reason, detail=str(error))
                return
            except MorulaError as error:
                log.warning("labeller still behind", labelling_id=labelling_id, reason=error.reason)

    async def _learn(self, labelling_id: str) -> None:
        async with self._lock(labelling_id):
            snapshot = await self.snapshot(labelling_id)
            cluster_count = snapshot.row["cluster_count"]
            if not snapshot.labels.seq or await self._is_learnt(labelling_id, snapshot.labels.seq, cluster_count):
                return
            view = await self._views.get(snapshot.row["clustering_id"])
            cut = await self.cut(view, cluster_count)
            started = time.monotonic()
            request = _request(view, cut, snapshot.labels)
            await self._ledger.write(objects.claim, "labelling", labelling_id, _keys(request))
            answer = await self._learnt(request)
            learned_s = time.monotonic() - started
            address = (labelling_id, snapshot.labels.seq, cluster_count)
            await self._ledger.write(_keep, address, request, answer, learned_s)

    def _lock(self, labelling_id: str) -> asyncio.Lock:
        return self._locks.setdefault(labelling_id, asyncio.Lock())

    async def _learnt(self, request: LearnLabelsRequest) -> LearnLabelsResponse:
        """The labeller's answer. Layers in the store that are wrong are deleted first, so that it learns them again."""
        burial = Burial(self._ledger, self._store)
        for _ in _keys(request):
            try:
                answer = await self._workers.learn_labels(request)
                break
            except DAMAGED as error:
                key = error.metadata.get("key", "")
                if key not in _keys(request):
                    raise
                log.warning("artifact gives way", key=key, detail=str(error))
                # What has the right digest and cannot be read goes anyway.
                await (burial.drop(key) if isinstance(error, ArtifactInvalid) else burial.drop_damaged(key))
        else:
            return await self._workers.learn_labels(request)
        layers = _made(request, answer)
        known = await self._ledger.read(artifacts.find_made, [made.key for made in layers])
        wrong = [(made, what_is_wrong(made, known.get(made.key), made.made_of)) for made in layers]
        for made, why in wrong:
            if why is not None:
                log.warning("artifact gives way", key=made.key, detail=why)
                await burial.drop_damaged(made.key, made_of=made.made_of)
        return await self._workers.learn_labels(request) if any(why for _, why in wrong) else answer

    async def _is_learnt(self, labelling_id: str, seq: int, cluster_count: int) -> bool:
        newest = await self._ledger.read(labels.newest_layer, labelling_id, cluster_count)
        return newest is not None and newest["seq"] == seq and newest["cluster_count"] == cluster_count


def snapshot_of(tx: Connection, labelling_id: str) -> Snapshot:
    """The labelling as this transaction sees it."""
    row = labels.get_labelling(tx, labelling_id)
    log_of_events = labels.list_events(tx, labelling_id)
    newest = labels.newest_layer(tx, labelling_id, row["cluster_count"])
    learnt = NOTHING
    if newest is not None:
        learnt = Learnt(newest["seq"], from_json(newest["learnt"], LearnLabelsResponse), newest["learned_s"])
    return Snapshot(row, log_of_events, fold(log_of_events), learnt)


def _tree_cut(answer: CutTreeResponse) -> TreeCut:
    clusters = [
        CutCluster(
            one.node_id,
            one.cell_count,
            one.supported,
            list(one.representative_rows),
            [_near(cell) for cell in one.borderline],
            list(one.outlying_rows),
        )
        for one in answer.clusters
    ]
    noise = [_near(cell) for cell in answer.noise.representatives]
    return TreeCut(list(answer.node_of_leaf), clusters, answer.noise.cell_count, noise)


def _near(cell: NearCell) -> NearRow:
    return NearRow(cell.row, cell.near_node_id or None)


def is_layer(key: str) -> bool:
    """Whether an object is a layer, which can be learnt again."""
    return key.count("/") > 2 and key.split("/")[2] in LAYER_STAGES


def _keys(request: LearnLabelsRequest) -> list[str]:
    return [request.class_key, request.confidence_key, request.model_key]


def _made(request: LearnLabelsRequest, answer: LearnLabelsResponse) -> list[Made]:
    """The layers that the labeller wrote or found in the store."""
    inputs = (request.clustering.features, request.clustering.leaf, request.clustering.tree)
    made_of = digest([[ref.key, ref.sha256] for ref in inputs])
    written = [ref for ref in (answer.class_layer, answer.confidence_layer, answer.model) if ref.key]
    return [Made(ref.key, ref.sha256, ref.size_bytes, made_of) for ref in written]


def _keep(
    tx: Connection,
    address: tuple[str, int, int],
    request: LearnLabelsRequest,
    answer: LearnLabelsResponse,
    learned_s: float,
) -> None:
    artifacts.note_made(tx, _made(request, answer))
    labels.keep_layer(tx, *address, to_json(answer), learned_s)


def _request(view: ClusteringView, cut: TreeCut, state: Labels) -> LearnLabelsRequest:
    seen = [
        SeenCell(
            row=row,
            class_number=word.class_number,
            group=_group(view, row),
            page=word.page,
            shown_class_number=word.shown_class or 0,
        )
        for row, word in sorted(state.words.items())
        if word.class_number is not None
    ]
    names = inherit_names(state.names, cut.nodes, view.parents)
    facts = {
        "seen": [[cell.row, cell.class_number, cell.group, cell.page, cell.shown_class_number] for cell in seen],
        "names": sorted(names.items()),
        "node_of_leaf": list(cut.node_of_leaf),
    }

    def key(stage: str, ext: str) -> str:
        inputs = [view.artifacts.features.key, view.artifacts.leaf.key]
        return artifact_key(view.project, view.scope, stage, ext, inputs=inputs, params=facts)

    return LearnLabelsRequest(
        clustering=view.artifacts,
        node_of_leaf=cut.node_of_leaf,
        seen=seen,
        names=[ClusterName(node_id=node, class_number=number) for node, number in sorted(names.items())],
        class_key=key("class", "bin"),
        confidence_key=key("label_confidence", "bin"),
        model_key=key("model", "json"),
    )


def _group(view: ClusteringView, row: int) -> int:
    """Cells that are held out together: of one slide, or of one tile where there is one slide."""
    if len(view.slides) > 1:
        return view.slides.index(view.slide_of(row))
    return int(view.slides[0].tile[row])
