"""Clusterings: cohorts asked for, clusters of a cut, arrays for drawing, cells in view, pictures of cells."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection

from morula.common import tracing
from morula.common.errors import FailedPrecondition, InvalidArgument
from morula.common.formats import NOISE_LEAF
from morula.common.geometry import BLOCK_PX
from morula.common.models import Profile
from morula.gateway.api.jobs import job_answer
from morula.gateway.api.waiting import while_waited
from morula.gateway.blocks import block_bytes, cells_in_box
from morula.gateway.clustering_schemas import (
    Block,
    Blocks,
    CellPicture,
    Cells,
    Cluster,
    Clustering,
    Clusterings,
    ClusteringSlide,
    Clusters,
    NearPicture,
    Noise,
)
from morula.gateway.components import Here
from morula.gateway.contract import BYTES, created, served
from morula.gateway.fields import Number
from morula.gateway.labels.kinds import NO_CLUSTER
from morula.gateway.labels.learning import CutCluster, NearRow, TreeCut
from morula.gateway.labels.paging import describe, rows_of_place
from morula.gateway.ledger import clusterings, jobs
from morula.gateway.ledger.records import Record, Slice
from morula.gateway.licences import check_job
from morula.gateway.lists import Wanted, cursor_after
from morula.gateway.pictures import CELL_PX, WINDOW_UM, SheetRequest, cell_pictures, render_sheet
from morula.gateway.pipeline.params import (
    COHORT_STAGES,
    cohort_params,
    params_digest,
    stored_params,
)
from morula.gateway.ranges import array_begin, send_bytes, send_object
from morula.gateway.schemas import CohortRequest, Job
from morula.gateway.views import ClusteringView, mixing_of

router = APIRouter(prefix="/v1/clusterings", tags=["clusterings"])

REPRESENTATIVE_COUNT = 9


@router.post("", status_code=202, response_model=Job, responses=created(202, Job))
async def create_cohort(body: CohortRequest, response: Response, here: Here) -> Job:
    """Have the cells of several finished jobs clustered together."""
    traceparent = tracing.outgoing().get(tracing.HEADER)
    row, created = await here.ledger.write(_create_cohort, here.project, body, traceparent, here.settings.profile)
    response.status_code = 202 if created else 200
    response.headers["Location"] = f"/v1/jobs/{row}"
    return await here.ledger.read(job_answer, row)


def _create_cohort(
    tx: Connection, project: str, body: CohortRequest, traceparent: str | None, profile: Profile
) -> tuple[str, bool]:
    sources = jobs.hold_sources(tx, body.job_ids)
    for source in sources:
        if source["kind"] != "slide" or source["verdict"] != "cells":
            raise FailedPrecondition(
                "A cohort takes only jobs of single slides that succeeded and found cells.", job_id=source["id"]
            )
    if len({source["slide_id"] for source in sources}) != len(sources):
        raise InvalidArgument("Two of these jobs are of the same slide: name one job for each slide.")
    params = cohort_params([stored_params(source["params"]) for source in sources])
    for source in sources:
        check_job(tx, source, profile)
    values = {
        "project_id": project,
        "kind": "cohort",
        "slide_id": None,
        "source_job_ids": body.job_ids,
        "name": body.name or f"{len(sources)} slides",
        "params": params.to_json(),
        "params_digest": params_digest("cohort", body.job_ids, params),
        "traceparent": traceparent,
    }
    row, created = jobs.create_job(tx, values, COHORT_STAGES)
    return row["id"], created


@router.get("", response_model=Clusterings)
async def list_clusterings(here: Here, wanted: Wanted) -> Clusterings:
    """Clusterings, newest first."""
    return await here.ledger.read(_clusterings_answer, here.project, wanted)


@router.get("/{clustering_id}", response_model=Clustering)
async def get_clustering(clustering_id: str, here: Here) -> Clustering:
    """One clustering."""
    return await here.ledger.read(_answer, clustering_id)


def _clusterings_answer(tx: Connection, project: str, wanted: Slice) -> Clusterings:
    part = clusterings.list_clusterings(tx, project, wanted)
    return Clusterings(clusterings=_answers(tx, part.rows), next_cursor=cursor_after(part))


def _answer(tx: Connection, clustering_id: str) -> Clustering:
    return _answers(tx, [clusterings.get_clustering(tx, clustering_id)])[0]


def _answers(tx: Connection, rows: list[Record]) -> list[Clustering]:
    members: dict[str, list[ClusteringSlide]] = {row["id"]: [] for row in rows}
    mixing = {row["id"]: row["mixing"] for row in rows}
    for slide in clusterings.clustering_slides(tx, *members):
        own = {"mpp": slide["slide_mpp"], "mixing": mixing_of(mixing[slide["clustering_id"]], slide["position"])}
        members[slide["clustering_id"]].append(ClusteringSlide.model_validate({**slide, **own}))
    return [Clustering.model_validate({**row, "slides": members[row["id"]]}) for row in rows]


@router.get("/{clustering_id}/clusters", response_model=Clusters)
async def list_clusters(clustering_id: str, here: Here, count: Annotated[int, Query(ge=0, le=4096)] = 0) -> Clusters:
    """The tree cut into `count` clusters (0: as many as it proposes), largest first."""
    view = await here.views.get(clustering_id)
    cut = await here.labelling.learning.cut(view, count or view.cluster_count)
    return await asyncio.to_thread(_clusters, view, cut, count or view.cluster_count)


def _clusters(view: ClusteringView, cut: TreeCut, count: int) -> Clusters:
    shown = {cluster.node_id: cluster.typical[:REPRESENTATIVE_COUNT] for cluster in cut.clusters}
    pictures = {one.row: one for one in cell_pictures(view, [row for rows in shown.values() for row in rows])}
    around = {cluster.node_id: _around(view, cluster) for cluster in cut.clusters}
    return Clusters(
        clusters=[
            Cluster(
                node_id=cluster.node_id,
                cell_count=cluster.cell_count,
                supported=cluster.supported,
                sentence=describe(view, rows_of_place(view, cut, cluster.node_id, NOISE_LEAF))[1],
                representatives=[pictures[row] for row in shown[cluster.node_id]],
                borderline=_near(around[cluster.node_id], cluster.borderline),
                outlying=around[cluster.node_id][len(cluster.borderline) :],
            )
            for cluster in cut.clusters
        ],
        noise=_noise(view, cut) if cut.noise_count else None,
        node_of_leaf=list(cut.node_of_leaf),
        count=count,
    )


def _around(view: ClusteringView, cluster: CutCluster) -> list[CellPicture]:
    """Borderline and outlying cells, on a sheet of their own: it is drawn when somebody opens the cluster."""
    return cell_pictures(view, [*(cell.row for cell in cluster.borderline), *cluster.outlying])


def _noise(view: ClusteringView, cut: TreeCut) -> Noise:
    shown = cut.noise[:REPRESENTATIVE_COUNT]
    return Noise(
        cell_count=cut.noise_count,
        sentence=describe(view, rows_of_place(view, cut, NO_CLUSTER, NOISE_LEAF))[1],
        representatives=_near(cell_pictures(view, [cell.row for cell in shown]), shown),
    )


def _near(pictures: Sequence[CellPicture], cells: Sequence[NearRow]) -> list[NearPicture]:
    return [
        NearPicture(**picture.model_dump(), near_node_id=cell.node_id)
        for picture, cell in zip(pictures, cells, strict=False)
    ]


@router.get("/{clustering_id}/layers/{layer}", response_class=Response, responses=served(BYTES))
async def get_layer(
    clustering_id: str, layer: Literal["leaf", "layout", "confidence"], request: Request, here: Here
) -> Response:
    """An array in row order, little-endian and without a header: uint16 leaf, two fp16 layout, uint8 confidence."""
    ref = getattr((await here.views.get(clustering_id)).artifacts, layer)
    return await send_object(request, here.store, ref, BYTES, begin=array_begin)


@router.get("/{clustering_id}/cells", response_model=Cells)
async def list_cells(
    clustering_id: str,
    here: Here,
    bbox: str,
    slide_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=20000)] = 2000,
) -> Cells:
    """Cells whose centroid lies in a box of the slide (x0,y0,x1,y1 at level 0)."""
    view = await here.views.get(clustering_id)
    return await asyncio.to_thread(cells_in_box, view, view.slide(slide_id), bbox, limit)


@router.get("/{clustering_id}/blocks", response_model=Blocks)
async def list_blocks(clustering_id: str, here: Here, slide_id: str | None = None) -> Blocks:
    """Squares of the slide that hold cells, in the order of their rows; corners in level-0 px."""
    slide = (await here.views.get(clustering_id)).slide(slide_id)
    found = []
    for number, (block_x, block_y, start, stop) in enumerate(slide.blocks):
        place = {"x_px": block_x * BLOCK_PX, "y_px": block_y * BLOCK_PX}
        rows = {"row_start": slide.row_start + start, "row_stop": slide.row_start + stop}
        found.append(Block(number=number, **place, **rows))
    return Blocks(block_px=BLOCK_PX, blocks=found)


@router.get("/{clustering_id}/blocks/{number}", response_class=Response, responses=served(BYTES))
async def get_block(
    clustering_id: str, number: Number, request: Request, here: Here, slide_id: str | None = None
) -> Response:
    """Cells of one square as numbers: row_start, row_count, vertex_count, 0; centroids; offsets; vertices."""
    view = await here.views.get(clustering_id)
    slide = view.slide(slide_id)
    etag = f"{slide.settled.outlines.sha256}-{slide.row_start}-{number}"
    known = request.headers.get("if-none-match") == f'"{etag}"'
    body = b"" if known else await asyncio.to_thread(block_bytes, slide, number)
    return send_bytes(request, body, BYTES, etag)


@router.get("/{clustering_id}/sheet.jpeg", response_class=Response, responses=served("image/jpeg"))
async def get_sheet(
    clustering_id: str,
    request: Request,
    here: Here,
    rows: Annotated[str, Query(max_length=4096)],
    slide_id: str | None = None,
    window_um: Annotated[float, Query(ge=4.0, le=512.0, allow_inf_nan=False)] = WINDOW_UM,
    cell_px: Annotated[int, Query(ge=16, le=512)] = CELL_PX,
) -> Response:
    """Pictures of cells, from left to right, then from top to bottom."""
    view = await here.views.get(clustering_id)
    slide = view.slide(slide_id)
    wanted = SheetRequest(slide, rows, window_um, cell_px)
    sheet = render_sheet(here.ledger, here.workers, here.store, view, slide, wanted)
    jpeg = await while_waited(request, sheet)
    return send_bytes(request, jpeg, "image/jpeg", hashlib.sha256(jpeg).hexdigest())
