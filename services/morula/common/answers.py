"""What a stage answers, read from the artifacts that it leaves in the store, whoever wrote them.

A service answers so whether it made them or found them there, and the gateway where it finds them and asks no service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from morula.common.arrays import read_array, read_json, reading
from morula.common.errors import of_artifact
from morula.common.refs import key_of, stain_message
from morula.common.stain import Stain
from morula.common.store import Store
from morula.common.tables import (
    NOISE_LEAF,
    UNEMBEDDED,
    read_cells,
    read_index,
    read_metadata,
    read_morphology,
    read_plan,
    read_tiles,
)
from morula.v1.artifact_pb2 import Calibration, ObjectRef, SettledSlide
from morula.v1.clusterer_pb2 import (
    AssignCellsResponse,
    ClusterCellsResult,
    Clustering,
    Mixing,
    RegroupCellsResponse,
    SettleCellsResult,
    SlideMixing,
    SplitClusterResponse,
)
from morula.v1.embedder_pb2 import EmbedCellsResponse
from morula.v1.segmenter_pb2 import SegmentShardResponse
from morula.v1.tiler_pb2 import CutShardResponse, PlanSlideResponse


@contextmanager
def _opened(store: Store, ref: ObjectRef) -> Iterator[Path]:
    with store.local_path(*key_of(ref)) as path, of_artifact(ref.key), reading("the artifact"):
        yield path


def planned(store: Store, plan: ObjectRef) -> PlanSlideResponse:
    """Of PlanSlide."""
    with _opened(store, plan) as path:
        facts = read_metadata(read_plan(path))
        return PlanSlideResponse(
            plan=plan,
            shard_count=facts["shard_count"],
            tile_count=facts["columns"] * facts["rows"],
            candidate_tile_count=facts["candidate_tile_count"],
            mpp=facts["mpp"],
            calibration=_calibration(**facts["calibration"]),
            core_count=len(facts["cores"]),
        )


def _calibration(*, stain: Stain | None = None, **numbers: Any) -> Calibration:
    return Calibration(**numbers, stain=stain_message(stain))


def cut(store: Store, tiles: ObjectRef, pixels: ObjectRef | None) -> CutShardResponse:
    """Of CutShard; without pixels where they were used and deleted."""
    with _opened(store, tiles) as path:
        facts = read_metadata(read_tiles(path))
        return CutShardResponse(
            tiles=tiles,
            pixels=pixels,
            kept_tile_count=facts["kept"],
            rejected_tile_count=facts["rejected"],
            failed_tile_count=facts["failed"],
        )


def segmented(store: Store, cells: ObjectRef) -> SegmentShardResponse:
    """Of SegmentShard."""
    with _opened(store, cells) as path:
        facts = read_metadata(read_cells(path, ["tile"]))
        return SegmentShardResponse(
            cells=cells,
            cell_count=facts["cell_count"],
            truncated_cell_count=facts["truncated_cell_count"],
            truncated_regions=facts["truncated_regions"],
        )


def embedded(store: Store, vectors: ObjectRef, morphology: ObjectRef) -> EmbedCellsResponse:
    """Of EmbedCells."""
    with _opened(store, vectors) as path:
        cell_count, dimension_count = read_array(path, mmap=True).shape
    return EmbedCellsResponse(
        vectors=vectors,
        morphology=morphology,
        cell_count=cell_count,
        dimension_count=dimension_count,
        unembedded_cell_count=unembedded(store, morphology),
    )


def unembedded(store: Store, morphology: ObjectRef) -> int:
    """How many cells of a shard have no vector."""
    return len(_unembedded_rows(store, morphology))


def unembedded_of(store: Store, index: ObjectRef, morphology: Mapping[int, ObjectRef]) -> int:
    """How many cells of a slide have none, all of them in these of its shards."""
    with _opened(store, index) as path:
        table = read_index(path, ["shard", "row"])
    shard, row = table["shard"].to_numpy(), table["row"].to_numpy()
    rows = {number: _unembedded_rows(store, ref) for number, ref in morphology.items()}
    return sum(int(np.isin(row[shard == number], without).sum()) for number, without in rows.items())


def _unembedded_rows(store: Store, morphology: ObjectRef) -> list[int]:
    with _opened(store, morphology) as path:
        return list(read_metadata(read_morphology(path, columns=[])).get(UNEMBEDDED, []))


def settled(
    store: Store, slide_digest: str, index: ObjectRef, outlines: ObjectRef, shard_list: ObjectRef
) -> SettleCellsResult:
    """The result of SettleCells."""
    with _opened(store, index) as path:
        facts = read_metadata(read_index(path, ["shard"]))
        slide = SettledSlide(
            slide_digest=slide_digest,
            index=index,
            outlines=outlines,
            shard_list=shard_list,
            cell_count=facts["cell_count"],
        )
        return SettleCellsResult(
            settled=slide, dropped_cell_count=facts["dropped"], truncated_cell_count=facts["truncated_cell_count"]
        )


def clustered(store: Store, clustering: Clustering) -> ClusterCellsResult:
    """The result of ClusterCells."""
    with _opened(store, clustering.leaf) as path:
        cell_count = len(read_array(path, mmap=True))
    with _opened(store, clustering.tree) as path:
        facts = read_json(path)
        return ClusterCellsResult(
            clustering=clustering,
            cell_count=cell_count,
            leaf_count=facts["leaf_count"],
            noise_count=facts["noise_count"],
            cluster_count=facts["cluster_count"],
            structure_found=facts["structure"]["found"],
            mixing=_mixing(**facts["mixing"]) if "mixing" in facts else None,
        )


def split(store: Store, before: Clustering, leaf: ObjectRef, tree: ObjectRef) -> SplitClusterResponse:
    """Of SplitCluster: what it leaves differs from the clustering before in leaf and tree alone."""
    after = _changed(before, leaf=leaf, tree=tree)
    with _opened(store, tree) as path:
        return SplitClusterResponse(clustering=after, child_ids=read_json(path)["splits"][-1]["part_ids"])


def regrouped(
    store: Store, before: Clustering, leaf: ObjectRef, tree: ObjectRef, confidence: ObjectRef
) -> RegroupCellsResponse:
    """Of RegroupCells: features and layout are those of the clustering before."""
    after = _changed(before, leaf=leaf, tree=tree, confidence=confidence)
    with _opened(store, tree) as path:
        return RegroupCellsResponse(clustering=after, cluster_ids=read_json(path)["regrouped"]["cluster_ids"])


def _changed(before: Clustering, **refs: ObjectRef) -> Clustering:
    after = Clustering()
    after.CopyFrom(before)
    for name, ref in refs.items():
        getattr(after, name).CopyFrom(ref)
    return after


def added(store: Store, clustering: Clustering, slide: SettledSlide) -> AssignCellsResponse:
    """Of AssignCells."""
    with _opened(store, clustering.leaf) as path:
        leaf = read_array(path, mmap=True)
        own = leaf[len(leaf) - slide.cell_count :]
        return AssignCellsResponse(clustering=clustering, abstained_count=int(np.count_nonzero(own == NOISE_LEAF)))


def _mixing(*, slides: Sequence[float | None], **numbers: float) -> Mixing:
    return Mixing(**numbers, slides=[SlideMixing(score=score) for score in slides])
