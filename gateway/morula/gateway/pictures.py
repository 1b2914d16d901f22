"""Pictures of cells on sheets: the place of each on its sheet, and the sheets, which are drawn once and kept."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlencode

from morula.common.errors import ArtifactChanged, ArtifactMissing, Internal, InvalidArgument
from morula.common.keys import artifact_key
from morula.common.store import Store
from morula.common.telemetry import log
from morula.gateway.clustering_schemas import CellPicture
from morula.gateway.ledger import objects, slides
from morula.gateway.ledger.engine import Ledger
from morula.gateway.refs import slide_ref
from morula.gateway.views import ClusteringView, SlideRows
from morula.gateway.workers import Workers
from morula.v1.tiler_pb2 import RenderCellsRequest, SlidePoint

SHEET_LIMIT = 256
WINDOW_UM = 32.0
CELL_PX = 160


def cell_pictures(
    view: ClusteringView, rows: Sequence[int], window_um: float = WINDOW_UM, cell_px: int = CELL_PX
) -> list[CellPicture]:
    """For each cell, the place of its picture on a sheet; cells of one slide share sheets. Centroids are in level-0 px,
    outlines in px of the picture."""
    placed: dict[int, CellPicture] = {}
    for slide in view.slides:
        mine = [row for row in rows if slide.row_start <= row < slide.row_stop]
        for start in range(0, len(mine), SHEET_LIMIT):
            for picture in _sheet(view, slide, mine[start : start + SHEET_LIMIT], window_um, cell_px):
                placed[picture.row] = picture
    return [placed[row] for row in rows]


def _sheet(
    view: ClusteringView, slide: SlideRows, rows: Sequence[int], window_um: float, cell_px: int
) -> list[CellPicture]:
    local = [row - slide.row_start for row in rows]
    query = {"slide_id": slide.slide_id, "rows": ",".join(map(str, rows)), "window_um": window_um, "cell_px": cell_px}
    columns = column_count(len(rows))
    scale = cell_px * slide.mpp / window_um
    pictures = []
    for number, (row, at, ring) in enumerate(zip(rows, local, slide.rings(local), strict=True)):
        x_px, y_px = float(slide.x_px[at]), float(slide.y_px[at])
        pictures.append(
            CellPicture(
                row=row,
                slide_id=slide.slide_id,
                x_px=x_px,
                y_px=y_px,
                sheet=f"/v1/clusterings/{view.id}/sheet.jpeg?{urlencode(query, safe=',')}",
                column=number % columns,
                line=number // columns,
                column_count=columns,
                line_count=math.ceil(len(rows) / columns),
                cell_px=cell_px,
                window_um=window_um,
                outline=[
                    (round((x - x_px) * scale + cell_px / 2, 2), round((y - y_px) * scale + cell_px / 2, 2))
                    for x, y in ring
                ],
            )
        )
    return pictures


def column_count(count: int) -> int:
    """Number of pictures in a row of a sheet, which is about square. A sheet with another number is refused."""
    return math.ceil(math.sqrt(count))


async def render_sheet(
    ledger: Ledger, workers: Workers, store: Store, view: ClusteringView, slide: SlideRows, request: "SheetRequest"
) -> bytes:
    """The sheet's JPEG, from the store if it was drawn before."""
    params = {"rows": list(request.rows), "window_um": request.window_um, "cell_px": request.cell_px}
    inputs = [slide.digest, slide.settled.index.key]
    key = artifact_key(view.project, slide.digest, "sheet", "jpeg", inputs=inputs, params=params)

    async def draw() -> bytes:
        row = await ledger.read(slides.get_slide, slide.slide_id)
        files = await ledger.read(slides.slide_files, slide.slide_id)
        places = [row_number - slide.row_start for row_number in request.rows]
        message = RenderCellsRequest(
            slide=slide_ref(row, files, slide.mpp),
            centres=[SlidePoint(x_px=slide.x_px[place], y_px=slide.y_px[place]) for place in places],
            window_um=request.window_um,
            cell_px=request.cell_px,
        )
        rendered = await workers.render_cells(message)
        if rendered.column_count != column_count(len(places)):
            raise Internal(f"The tiler put {rendered.column_count} pictures in a row.")
        return bytes(rendered.jpeg)

    return await drawn_once(ledger, store, slide.job_id, key, draw)


async def drawn_once(
    ledger: Ledger, store: Store, job_id: str, key: str, draw: Callable[[], Awaitable[bytes]]
) -> bytes:
    """A picture of a job's cells: from the store if it was drawn before, else drawn and kept for the job."""
    jpeg = await asyncio.to_thread(_kept, store, key)
    if jpeg is None:
        await ledger.write(objects.claim, "job", job_id, [key])
        jpeg = await draw()
        await asyncio.to_thread(store.put, key, jpeg)
    return jpeg


def _kept(store: Store, key: str) -> bytes | None:
    """The picture if it was drawn before; a damaged one is deleted, to be drawn again."""
    try:
        return store.get(key)
    except ArtifactMissing:
        return None
    except ArtifactChanged as error:
        log.warning("picture is drawn again", key=key, detail=str(error))
        store.delete(key)
        return None


class SheetRequest:
    """The cells that a sheet shows, and how; the values are checked."""

    def __init__(self, slide: SlideRows, rows: str, window_um: float, cell_px: int) -> None:
        try:
            self.rows = [int(row) for row in rows.split(",")]
        except ValueError as error:
            raise InvalidArgument("Rows are whole numbers with commas between them.") from error
        if not 1 <= len(self.rows) <= SHEET_LIMIT:
            raise InvalidArgument(f"A sheet shows 1 to {SHEET_LIMIT} cells, not {len(self.rows)}.")
        if any(not slide.row_start <= row < slide.row_stop for row in self.rows):
            raise InvalidArgument(f"The slide's rows are {slide.row_start} to {slide.row_stop - 1}.")
        self.window_um = window_um
        self.cell_px = cell_px
