"""Samples as the API shows them: made by the evaluator, read from the ledger, with pictures and outlines of cells."""

import asyncio
import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from morula.common.errors import FailedPrecondition, Gone, InvalidArgument
from morula.common.keys import artifact_key
from morula.common.store import Store
from morula.gateway.ledger import clusterings, jobs, label_sets, samples, slides
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.records import Record
from morula.gateway.ledger.samples import Sampled
from morula.gateway.pictures import drawn_once
from morula.gateway.refs import from_json, row_ref, slide_ref
from morula.gateway.sample_schemas import NewSample, OpenTile, SampleCell, TilePicture
from morula.gateway.samples.batches import Found, Ground, find_batches
from morula.gateway.samples.snapshots import Snapshot, Snapshots
from morula.gateway.samples.views import tile_answer
from morula.gateway.views import Ring, SlideRows
from morula.gateway.workers import Workers, once_it_is_free
from morula.v1.artifact_pb2 import SettledSlide
from morula.v1.evaluator_pb2 import LeftOutReason, OfferedSlide, SampleTilesRequest, SampleTilesResponse
from morula.v1.tiler_pb2 import RenderRegionRequest

KEPT_COUNT = 16
MARGIN_PX = 32
"""Around a tile in its picture: cells reach beyond the tile that their middle lies in."""
REASON = "LEFT_OUT_REASON_"
MEMBER = ("slide_id", "job_id", "slide_mpp")
Rows = list[dict[str, Any]]


class TileSamples:
    """Makes samples and opens their tiles."""

    def __init__(self, ledger: Ledger, workers: Workers, store: Store, project: str) -> None:
        self._ledger = ledger
        self._workers = workers
        self._store = store
        self._project = project
        self.snapshots = Snapshots()
        self._kept: OrderedDict[tuple[str, str], SlideRows] = OrderedDict()
        self._lock = threading.Lock()
        """Of what is kept, which threads share."""

    async def make(self, wanted: NewSample) -> str:
        """Sample tiles; the new sample's id. Nothing is left of one that cannot be made."""
        sources, label_set_id = await self._ledger.read(_sources, self._project, wanted)
        values: dict[str, Any] = {"project_id": self._project, "label_set_id": label_set_id}
        members = [{name: source.row[name] for name in MEMBER} | {"position": n} for n, source in enumerate(sources)]
        settled = {source.row["job_id"]: source.settled for source in sources}
        if wanted.batches:
            found = await asyncio.to_thread(self._find, wanted, sources)
            tiles, left_out = found.tiles, found.left_out()
            largest = max(_sizes(tiles).values())
            values |= {"batch_count": len(wanted.batches), "cells_per_batch": largest, "seed": 0}
        else:
            tiles, left_out = await self._sample(wanted, sources)
            values |= wanted.model_dump(include={"seed", "batch_count", "cells_per_batch"})
        values |= {"name": wanted.name or f"{len(tiles)} tiles of {len(sources)} slides", "left_out": left_out}
        return await self._ledger.write(samples.create_sample, Sampled(values, members, tiles), settled)

    def _find(self, wanted: NewSample, sources: Sequence["Source"]) -> Found:
        """Batches that were sampled elsewhere, on these slides."""
        grounds = [Ground(source.row, self._rows_of({**source.row, "settled": source.settled})) for source in sources]
        return find_batches(wanted.batches, grounds)

    async def _sample(self, wanted: NewSample, sources: Sequence["Source"]) -> tuple[Rows, Rows]:
        """Rows of tiles that were taken, and what was left out."""
        request = SampleTilesRequest(
            slides=[source.offer for source in sources],
            batch_count=wanted.batch_count,
            cells_per_batch=wanted.cells_per_batch,
            seed=wanted.seed,
        )
        found = await once_it_is_free(lambda: self._workers.sample_tiles(request))
        return _tiles(found), _left_out(found)

    async def open_tile(self, sample_id: str, number: int, annotator: str) -> OpenTile:
        """A tile with its cells' outlines, and what this annotator said of them."""
        snapshot, tile, slide = await self._ledger.read(_opened, self.snapshots, sample_id, number)
        polygons = await asyncio.to_thread(self.outlines, slide, tile)
        said = snapshot.words.of(annotator)
        picture = _region(tile, slide)
        href = f"/v1/samples/{sample_id}/tiles/{number}/picture.jpeg"
        size = {"width_px": picture.width_px, "height_px": picture.height_px}
        cells = [
            SampleCell(
                number=cell,
                outline=_within(picture, ring),
                class_number=said.classes.get((number, cell)),
                badly_segmented=(number, cell) in said.flagged,
            )
            for cell, ring in enumerate(polygons, 1)
        ]
        return OpenTile(
            **tile_answer(tile, slide, said).model_dump(),
            seq=snapshot.words.seq,
            annotator=annotator,
            picture=TilePicture(href=href, margin_px=MARGIN_PX, mpp=tile["mpp"], **size),
            cells=cells,
        )

    async def picture(self, sample_id: str, number: int) -> bytes:
        """The tile's JPEG, drawn once."""
        tile, slide = await self._ledger.read(_placed, sample_id, number)
        place = _region(tile, slide)
        params = {"x_px": place.x_px, "y_px": place.y_px, "width_px": place.width_px, "height_px": place.height_px,
                  "downsample": place.downsample}  # fmt: skip
        key = artifact_key(self._project, slide["digest"], "sheet", "jpeg", inputs=[slide["digest"]], params=params)

        async def draw() -> bytes:
            row = await self._ledger.read(slides.get_slide, slide["slide_id"])
            files = await self._ledger.read(slides.slide_files, slide["slide_id"])
            place.slide.CopyFrom(slide_ref(row, files, slide["slide_mpp"]))
            return bytes((await self._workers.render_region(place)).jpeg)

        return await drawn_once(self._ledger, self._store, slide["job_id"], key, draw)

    def outlines(self, slide: Mapping[str, Any], tile: Mapping[str, Any]) -> list[Ring]:
        """Outlines of a tile's cells in level-0 px, in the order of their numbers."""
        rows = self._rows_of(slide)
        places = rows.rows_of([UUID(cell_id).bytes for cell_id in tile["cell_ids"]])
        found = [place for place in places if place is not None]
        if len(found) != len(places):
            raise Gone(
                f"{len(places) - len(found)} cells of this tile are not among its job's cells any more, which were "
                "made again otherwise.",
                job_id=slide["job_id"],
            )
        return rows.rings(found)

    def _rows_of(self, slide: Mapping[str, Any]) -> SlideRows:
        """The cells of a slide, opened once and kept for some time."""
        settled = from_json(slide["settled"], SettledSlide)
        key = (settled.index.sha256, settled.outlines.sha256)
        with self._lock:
            rows = self._kept.get(key)
        if rows is None:
            rows = SlideRows({**slide, "row_start": 0, "row_stop": settled.cell_count}, self._store)
        with self._lock:
            self._kept[key] = rows
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_COUNT:
                self._kept.popitem(last=False)
        return rows


@dataclass(frozen=True)
class Source:
    """A slide to sample from."""

    row: Mapping[str, Any]
    settled: Mapping[str, Any]
    offer: OfferedSlide


def _sources(tx: Connection, project: str, wanted: NewSample) -> tuple[list[Source], str]:
    label_set_id = wanted.label_set_id or label_sets.default_label_set(tx, project)
    label_sets.get_label_set(tx, label_set_id)
    ids = [_clustering_of(tx, job_id) for job_id in wanted.job_ids]
    ids += [clusterings.get_clustering(tx, clustering_id)["id"] for clustering_id in wanted.clustering_ids]
    job_of: dict[str, str] = {}
    sources: dict[str, Source] = {}
    for row in clusterings.clustering_slides(tx, *dict.fromkeys(ids)):
        if job_of.setdefault(row["slide_id"], row["job_id"]) != row["job_id"]:
            raise InvalidArgument(
                f"The cells of slide {row['name']} were found by two of these jobs: name one.", slide_id=row["slide_id"]
            )
        if row["slide_id"] not in sources:
            sources[row["slide_id"]] = _source(tx, row)
    return list(sources.values()), label_set_id


def _clustering_of(tx: Connection, job_id: str) -> str:
    row = jobs.get_job(tx, job_id)
    if row["clustering_id"] is None:
        raise FailedPrecondition("Tiles are sampled of jobs that succeeded and found cells.", job_id=job_id)
    return str(row["clustering_id"])


def _source(tx: Connection, row: Record) -> Source:
    settled = jobs.get_job(tx, row["job_id"])["settled"]
    tiles = row_ref(jobs.get_file(tx, row["job_id"], "tiles.parquet"))
    offer = OfferedSlide(name=row["slide_id"], settled=from_json(settled, SettledSlide), tiles=tiles)
    return Source(row, settled, offer)


def _sizes(tiles: Rows) -> dict[int, int]:
    """How many cells each batch has."""
    sizes: Counter[int] = Counter()
    for tile in tiles:
        sizes[tile["batch"]] += tile["cell_count"]
    return sizes


def _left_out(found: SampleTilesResponse) -> Rows:
    return [
        {
            "slide": one.slide,
            "reason": LeftOutReason.Name(one.reason).removeprefix(REASON).lower(),
            "tile_count": one.tile_count,
            "cell_count": one.cell_count,
        }
        for one in found.left_out
    ]


def _tiles(found: SampleTilesResponse) -> Rows:
    return [
        {
            "number": number,
            "batch": one.batch,
            "slide": one.slide,
            "tile": one.tile,
            "x_px": one.x_px,
            "y_px": one.y_px,
            "width_px": one.width_px,
            "height_px": one.height_px,
            "mpp": one.mpp,
            "cell_count": len(one.cell_ids),
            "cell_ids": [str(UUID(bytes=cell_id)) for cell_id in one.cell_ids],
            "named": None,
        }
        for number, one in enumerate(found.tiles, 1)
    ]


def _opened(tx: Connection, snapshots: Snapshots, sample_id: str, number: int) -> tuple[Snapshot, Record, Record]:
    return snapshots.of(tx, sample_id), *_placed(tx, sample_id, number)


def _placed(tx: Connection, sample_id: str, number: int) -> tuple[Record, Record]:
    samples.get_sample(tx, sample_id)
    tile = samples.get_tile(tx, sample_id, number)
    return tile, samples.sample_slides(tx, sample_id)[tile["slide"]]


def _within(picture: RenderRegionRequest, ring: Ring) -> Ring:
    """An outline in px of a picture."""
    scale = picture.downsample
    return [(round((x - picture.x_px) / scale, 2), round((y - picture.y_px) / scale, 2)) for x, y in ring]


def _region(tile: Mapping[str, Any], slide: Mapping[str, Any]) -> RenderRegionRequest:
    """What the picture of a tile shows: working pixels, with a margin."""
    downsample = tile["mpp"] / slide["slide_mpp"]
    margin = round(MARGIN_PX * downsample)
    return RenderRegionRequest(
        x_px=tile["x_px"] - margin,
        y_px=tile["y_px"] - margin,
        width_px=round(tile["width_px"] / downsample) + 2 * MARGIN_PX,
        height_px=round(tile["height_px"] / downsample) + 2 * MARGIN_PX,
        downsample=downsample,
    )
