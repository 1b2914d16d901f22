"""`morula tiles`: which tiles of a slide would be kept and why not the others, without running anything else."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from morula.common import formats
from morula.common.compute import go_on
from morula.common.regions import read_polygons
from morula.onebox.failures import WrongUse
from morula.onebox.preview import Marked, Marks, Ring, check_preview, draw, rings
from morula.onebox.regions import region_text
from morula.onebox.results import entry_path, only_slide
from morula.tiler.artefacts import pen_mask
from morula.tiler.cutting import Plan, cut_shard
from morula.tiler.gates import GATES, Gate
from morula.tiler.planning import GridRequest, plan_slide
from morula.tiler.probe import probe
from morula.tiler.readers import open_slide
from morula.tiler.selection import Selection
from morula.tiler.slide import Slide
from morula.tiler.survey import Survey, survey_slide

HALO_PX, REGION_TILES, SHARD_TILES = 0, 4, 64
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """What to look at."""

    slide: Path
    mpps: Sequence[float]
    slide_mpp: float | None = None
    tile_px: int = 512
    origin_px: tuple[int, int] = (0, 0)
    gate: str = "default"
    include: Path | None = None
    exclude: Path | None = None
    sample: int = 0
    seed: int = 0
    find_cores: bool = False

    def selection(self) -> Selection:
        return Selection(
            region_text(self.include),
            region_text(self.exclude),
            self.sample,
            self.seed,
            self.gate_name,
            self.find_cores,
        )

    @property
    def gate_name(self) -> Gate:
        for name in GATES:
            if name == self.gate:
                return name
        raise WrongUse(f"there is no gate {self.gate!r}; there are: {', '.join(GATES)}")


def examine(request: Request, preview: Path | None, table: Path | None, progress: Progress) -> dict[str, Any]:
    """Judges every tile at every scale; draws and writes one file per scale where that is asked for."""
    _check_files(preview, table)
    selection = request.selection()
    files = only_slide(request.slide)
    path = entry_path(files)
    mates = files.keys() - {path.name}
    probe(path, mates)
    with open_slide(path, mates) as slide:
        slide_mpp = request.slide_mpp or slide.scale.mpp
        if not slide_mpp:
            raise WrongUse(f"{request.slide.name} does not say how large its pixels are; pass --slide-mpp")
        scales = [
            _at_scale(slide, slide_mpp, mpp, request, selection, (preview, table), progress) for mpp in request.mpps
        ]
    return {"slide": str(request.slide), "slide_mpp": slide_mpp, "scales": scales}


def _check_files(preview: Path | None, table: Path | None) -> None:
    """Raises where a file cannot be written, before any work is done."""
    if preview:
        check_preview(preview)
    for path in (preview, table):
        if path and not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
            raise WrongUse(f"cannot write {path}: {path.parent.resolve()} is no folder that may be written to")


def _at_scale(
    slide: Slide,
    slide_mpp: float,
    mpp: float,
    request: Request,
    selection: Selection,
    files: tuple[Path | None, Path | None],
    progress: Progress,
) -> dict[str, Any]:
    wanted = GridRequest(mpp, request.tile_px, HALO_PX, REGION_TILES, *request.origin_px, SHARD_TILES)
    digest = "0" * 64  # No slide has this digest: nothing is stored.
    plan = Plan.read(plan_slide(slide, slide_mpp, digest, wanted, selection, go_on), slide, digest)
    tiles = _judged(slide, plan, request.gate_name, progress)
    preview, table = (_named(path, mpp, len(request.mpps)) for path in files)
    if table:
        pq.write_table(tiles, table, compression="zstd")
    if preview:
        survey = survey_slide(slide, slide_mpp, go_on)
        marks = Marks(Marked.of(tiles), plan.metadata["cores"], _outlines(survey, selection))
        draw(preview, survey.overview, survey.downsample, marks)
    verdicts = Counter(tiles["verdict"].to_pylist())
    reasons = Counter(reason for listed in tiles["reasons"].to_pylist() for reason in listed or ())
    return {
        "mpp": plan.metadata["mpp"],
        "tile_count": tiles.num_rows,
        "verdicts": dict(verdicts.most_common()),
        "reasons": dict(reasons.most_common()),
        "cores": [core["name"] for core in plan.metadata["cores"]],
        "preview": str(preview) if preview else None,
        "table": str(table) if table else None,
    }


def _judged(slide: Slide, plan: Plan, gate: Gate, progress: Progress) -> pa.Table:
    """Every tile of the grid with its verdict, in tile order."""
    shard_count = plan.metadata["shard_count"]
    parts = [formats.TILES_SCHEMA.empty_table()]  # A slide without tissue has no shard.
    with tempfile.TemporaryDirectory(prefix="morula-tiles-") as scratch:
        for shard in range(shard_count):
            part = formats.read_tiles(cut_shard(slide, plan, shard, gate, Path(scratch) / "pixels.arrow", go_on))
            parts.append(part.replace_schema_metadata(None))
            progress(shard + 1, shard_count)
    rest = plan.table.filter(pc.invert(plan.table["candidate"])).replace_schema_metadata(None)
    rest = rest.append_column("verdict", rest["left_out"]).drop_columns(["left_out", "candidate", "shard"])
    read = [part.drop_columns("verdict").append_column("verdict", part["verdict"].cast(pa.string())) for part in parts]
    return pa.concat_tables([*read, rest], promote_options="default").sort_by("tile")


def _outlines(survey: Survey, selection: Selection) -> dict[str, list[Ring]]:
    """Outlines of what was found on the slide and of what was asked for, in level-0 px."""
    ink = pen_mask(survey.overview) if survey.rule.illumination == "bright" else np.zeros_like(survey.folds)
    marks = {"pen found": rings(ink, survey.downsample), "fold found": rings(survey.folds, survey.downsample)}
    asked = {"included region": selection.include, "excluded region": selection.exclude}
    return marks | {
        text: [ring for polygon in read_polygons(regions) for ring in polygon]
        for text, regions in asked.items()
        if regions
    }


def _named(path: Path | None, mpp: float, count: int) -> Path | None:
    """One file per scale: its name says which, where there are several."""
    return path.with_stem(f"{path.stem}-{mpp:g}") if path and count > 1 else path
