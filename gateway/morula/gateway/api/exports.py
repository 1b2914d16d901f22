"""Exports of labels: the label of every cell, in every format."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, StreamingResponse
from starlette.background import BackgroundTask

from morula.common.arrays import read_array
from morula.common.disk_space import telling_full
from morula.common.errors import of_artifact
from morula.common.store import Store
from morula.gateway.components import Components, Here
from morula.gateway.contract import exported
from morula.gateway.exports.formats import Format
from morula.gateway.exports.label_files import LABEL_FILES, SLIDE_LABEL_FILES, confidence_of
from morula.gateway.exports.label_material import Labelled, LabelledSlide
from morula.gateway.ledger import jobs
from morula.gateway.refs import row_ref
from morula.gateway.uploads import REMEDY
from morula.gateway.views import ClusteringView

Material = TypeVar("Material")

router = APIRouter(prefix="/v1/labellings", tags=["exports"])


def _of_slide(wanted: Format[LabelledSlide]) -> Callable[..., Awaitable[Response]]:
    async def export(labelling_id: str, here: Here, slide_id: str | None = None) -> Response:
        labelled = await _labelled(here, labelling_id)
        slide = labelled.view.slide(slide_id)
        await asyncio.to_thread(
            lambda: slide.outlines
        )  # Raises before the first byte is sent if they are missing or damaged.
        tiles = row_ref(await here.ledger.read(jobs.get_file, slide.job_id, "tiles.parquet"))
        return await _send(wanted, LabelledSlide(**vars(labelled), slide=slide, tiles=tiles), here.settings.scratch)

    return export


def _of_all(wanted: Format[Labelled]) -> Callable[..., Awaitable[Response]]:
    async def export(labelling_id: str, here: Here) -> Response:
        return await _send(wanted, await _labelled(here, labelling_id), here.settings.scratch)

    return export


def _add_route(wanted: Format[Material], export: Callable[..., Awaitable[Response]]) -> None:
    router.add_api_route(
        f"/{{labelling_id}}/{wanted.name}",
        export,
        name=f"export_{wanted.name.replace('.', '_')}",
        description=wanted.about,
        response_class=Response,
        responses=exported(wanted.media_type),
    )


for of_slide in SLIDE_LABEL_FILES:
    _add_route(of_slide, _of_slide(of_slide))
for of_all in LABEL_FILES:
    _add_route(of_all, _of_all(of_all))


async def _labelled(here: Components, labelling_id: str) -> Labelled:
    return await here.labelling.learning.reading(labelling_id, lambda: _read(here, labelling_id))


async def _read(here: Components, labelling_id: str) -> Labelled:
    snapshot, view, effective = await here.labelling.effective(labelling_id)
    return Labelled(
        view=view,
        snapshot=snapshot,
        label_set=await here.labelling.label_set(snapshot.row["label_set_id"]),
        cut=await here.labelling.learning.cut(view, snapshot.row["cluster_count"]),
        effective=effective,
        confidence=await asyncio.to_thread(confidence_of, here.store, snapshot, view, effective),
        cluster_confidence=await asyncio.to_thread(_cluster_confidence, here.store, view),
        store=here.store,
    )


def _cluster_confidence(store: Store, view: ClusteringView) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    ref = view.artifacts.confidence
    with of_artifact(ref.key):
        return np.asarray(read_array(store.get(ref.key, ref.sha256)), np.uint8)


async def _send(wanted: Format[Material], material: Material, scratch: Path | None) -> Response:
    if wanted.chunks is not None:
        headers = {"Content-Disposition": f'attachment; filename="{wanted.name}"'}
        return StreamingResponse(wanted.chunks(material), media_type=wanted.media_type, headers=headers)
    path = await asyncio.to_thread(_written, wanted, material, scratch or Path(tempfile.gettempdir()))
    return FileResponse(
        path, media_type=wanted.media_type, filename=wanted.name, background=BackgroundTask(path.unlink)
    )


def _written(wanted: Format[Material], material: Material, folder: Path) -> Path:
    with telling_full(folder, "write the export", REMEDY):
        with tempfile.NamedTemporaryFile(prefix="morula-", suffix=f"-{wanted.name}", dir=folder, delete=False) as sink:
            path = Path(sink.name)
        try:
            wanted.write(material, path)
        except BaseException:
            path.unlink()
            raise
    return path
