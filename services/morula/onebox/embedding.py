"""`morula embed`: images of single cells become vectors, one row each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from morula.common.compute import go_on
from morula.common.errors import InvalidArgument
from morula.common.models import ModelSpec, find, variant
from morula.common.pixels import Region
from morula.common.stain import STAIN_WORDS, Stain, Staining, stain_called
from morula.common.weights import WeightsFolder
from morula.embedder import morphology
from morula.embedder.backends import MODELS
from morula.embedder.instances import Embedder, RegionCells
from morula.embedder.network_embedder import NetworkEmbedder
from morula.networks.models import Models
from morula.onebox.failures import WrongUse, one_line
from morula.onebox.folder import DataFolder
from morula.onebox.machine import profile
from morula.onebox.models import registry
from morula.onebox.results import staging
from morula.onebox.single_cells import ImageFile, opened
from morula.onebox.vector_files import INDEX, VECTORS

AT_ONCE = 128

Floats = NDArray[np.float32]
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Embedded:
    """What became of all images."""

    count: int
    dimension_count: int
    errors: list[tuple[str, str]]
    """Images without a vector, and why."""


class Shown(NamedTuple):
    """What is known of all images."""

    mpp: float
    staining: Staining


class _Seen(NamedTuple):
    cells: RegionCells | None
    size: tuple[int, int]
    error: str


def stain_asked(word: str | None) -> Stain | None:
    """The stain that a command names; None where it names none."""
    stain = stain_called(word) if word else None
    if word and not stain:
        raise WrongUse(f"there is no stain {word!r}; there are: {', '.join(STAIN_WORDS)}")
    return stain


def embed(
    source: Path, out: Path, folder: DataFolder, name: str, mpp: float, tell: Told, stain: Stain | None = None
) -> Embedded:
    """Each image is one cell, all of it. One that cannot be read has a row of NaN, and the index says why."""
    known = registry(folder)
    spec = variant(find(name, "embedder", known), stain, known)
    spec.check_use(profile())
    if spec.segmenter:
        raise WrongUse(f"{name} takes what {spec.segmenter} saw of each cell: it is for slides")
    if spec.context_um:
        raise WrongUse(f"{name} also looks at what is around a cell, which an image of one cell does not show")
    models = Models("embedder", MODELS, WeightsFolder(folder.weights))
    try:
        with opened(source) as images:
            return _embed(images, out, spec, models[spec.name], Shown(mpp, Staining(stain)), tell)
    finally:
        models.close()


def _embed(
    images: Sequence[ImageFile], out: Path, spec: ModelSpec, model: Embedder, shown: Shown, tell: Told
) -> Embedded:
    shape = (len(images), len(spec.columns))
    rows: dict[str, list[Any]] = {"width_px": [], "height_px": [], "error": []}
    names = [image.name for image in images]
    with staging(out) as folder:
        with (folder / VECTORS).open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
            for start in range(0, len(images), AT_ONCE):
                seen = [_seen(image, shown) for image in images[start : start + AT_ONCE]]
                vectors, errors = _vectors(seen, spec, model)
                file.write(vectors.astype("<f4").tobytes())
                rows["width_px"] += [each.size[0] for each in seen]
                rows["height_px"] += [each.size[1] for each in seen]
                rows["error"] += errors
                tell(start + len(seen), len(images))
        _write_index(folder / INDEX, names, rows, spec)
        for name in (VECTORS, INDEX):
            (folder / name).replace(out / name)
    failed = [(name, error) for name, error in zip(names, rows["error"], strict=True) if error]
    return Embedded(*shape, failed)


def _seen(image: ImageFile, shown: Shown) -> _Seen:
    try:
        pixels = image.pixels()
    except (WrongUse, InvalidArgument) as error:
        return _Seen(None, (0, 0), one_line(error))
    height, width = pixels.shape[:2]
    outline = np.array([shapely.box(0, 0, width, height)], object)
    region = Region(0, 0.0, 0.0, 1.0, pixels, 0, shown.mpp, shown.mpp)
    cells = RegionCells(region, outline, np.ones((height, width), np.int32), shown.staining, {})
    return _Seen(cells, (width, height), "")


def _vectors(seen: Sequence[_Seen], spec: ModelSpec, model: Embedder) -> tuple[Floats, list[str]]:
    """One row each, NaN where there is no vector, and why there is none."""
    vectors = np.full((len(seen), len(spec.columns)), np.nan, np.float32)
    there = [row for row, each in enumerate(seen) if each.cells]
    shown = [cells for each in seen if (cells := each.cells)]
    if shown:
        vectors[there] = _described(shown, model)
    lost = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    vectors[lost] = np.nan
    none = f"{spec.name} finds no finite numbers for it"
    return vectors, [each.error or (none if row in lost else "") for row, each in enumerate(seen)]


def _described(shown: Sequence[RegionCells], model: Embedder) -> Floats:
    if isinstance(model, NetworkEmbedder):
        pictures = [model.alone(cells)(np.zeros(1, np.int64)) for cells in shown]
        return model.vectors(np.concatenate(pictures), go_on)
    return np.concatenate([np.asarray(model(_measured(cells), go_on), np.float32) for cells in shown])


def _measured(cells: RegionCells) -> RegionCells:
    region = cells.region
    columns = morphology.measure(region.pixels, cells.labels, cells.polygons, region.mpp, cells.staining)
    return RegionCells(region, cells.polygons, cells.labels, cells.staining, columns)


def _write_index(path: Path, names: Sequence[str], rows: dict[str, list[Any]], spec: ModelSpec) -> None:
    table = pa.table(
        {
            "row": pa.array(range(len(names)), pa.int64()),
            "file": pa.array(names, pa.string()),
            "width_px": pa.array(rows["width_px"], pa.int32()),
            "height_px": pa.array(rows["height_px"], pa.int32()),
            "error": pa.array(rows["error"], pa.string()),
        }
    )
    told = {b"embedder": spec.name.encode(), b"revision": spec.revision.encode()}
    pq.write_table(table.replace_schema_metadata(told), path, compression="zstd")
