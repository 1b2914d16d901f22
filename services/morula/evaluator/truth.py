"""Truths as people bring them: tables of cells or points, shapes of QuPath, pixels, labels. No file is trusted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from morula.common.compute import Checkpoint, go_on
from morula.common.errors import InvalidArgument, TooLarge
from morula.evaluator import published_files, published_truth, truth_raster, truth_table
from morula.evaluator.cells import Flags
from morula.evaluator.crossings import Mender
from morula.evaluator.truth_raster import FARTHEST_PX
from morula.evaluator.truth_table import CLASS, IDS, PARTS, Columns, TruthTable

BYTES_LIMIT = 128 * 1024**2
CLASS_LIMIT = 1000
"""More of them are no classes: the column holds something else, such as ids."""
NAME_LIMIT = 1000
PLACE = ("x", "y")
BATCH = "published_batch"
"""Under it two files of the published system come as one truth."""

Kind = Literal["cells", "points", "shapes"]


@dataclass(frozen=True)
class Shapes:
    """Points, outlines of cells, and regions in which all cells are of one class; in level-0 px of their slide."""

    kind: Kind
    shapes: NDArray[Any]
    """Points and polygons."""
    is_region: Flags
    classes: pa.Array
    parts: Columns

    def __len__(self) -> int:
        return len(self.shapes)

    def name(self, number: int) -> str:
        """What a person finds it by."""
        place = self.shapes[number].centroid
        return f"x {place.x:.0f}, y {place.y:.0f}"


Truth = TruthTable | Shapes


def read(data: bytes, checkpoint: Checkpoint = go_on) -> Truth:
    """The truth in these bytes; InvalidArgument says in a line why they are none."""
    if len(data) > BYTES_LIMIT:
        raise TooLarge(f"the truth has {len(data):,} bytes, more than {BYTES_LIMIT:,}")
    if not data.strip():
        raise InvalidArgument("the truth is empty")
    if data.startswith(truth_raster.BEGINS):
        truth: Truth = _pixels(data, checkpoint)
    else:
        truth = _of_json(data) if data.lstrip()[:1] in (b"{", b"[") else _table(data)
    if not len(truth.classes):
        raise InvalidArgument("the truth gives no class to anything")
    names = pc.unique(truth.classes)
    if len(names) > CLASS_LIMIT:
        raise InvalidArgument(f"the truth has {len(names):,} classes, such as {names[0].as_py()!r}: is that a class?")
    for what, words in {"class": names, **truth.parts}.items():
        _check_names(what, words)
    return truth


def _check_names(what: str, words: pa.Array) -> None:
    """Names are read by people and kept in a database."""
    if pc.any(pc.match_substring(words, "\0")).as_py():
        raise InvalidArgument(f"a name under {what!r} in the truth has a NUL in it")
    if (pc.max(pc.utf8_length(words)).as_py() or 0) > NAME_LIMIT:
        raise InvalidArgument(f"a name under {what!r} in the truth is longer than {NAME_LIMIT} letters")


def kind_of(truth: Truth) -> Kind:
    return truth.kind if isinstance(truth, Shapes) else "cells"


def _table(data: bytes) -> Truth:
    columns = truth_table.columns_of(data)
    if any(name in columns for name in IDS) or not all(name in columns for name in PLACE):
        return truth_table.read(data)
    if CLASS not in columns:
        raise InvalidArgument(f"the truth has the columns {', '.join(map(repr, columns))}, and no {CLASS!r}")
    said = pc.not_equal(columns[CLASS], "")
    kept = {name: words.filter(said) for name, words in columns.items()}
    x, y = (_numbers(name, kept[name]) for name in PLACE)
    return Shapes(
        kind="points",
        shapes=shapely.points(x, y),
        is_region=np.zeros(len(x), bool),
        classes=kept[CLASS],
        parts={name: kept[name] for name in PARTS if name in kept},
    )


def _pixels(data: bytes, checkpoint: Checkpoint) -> Shapes:
    found = truth_raster.read(data, checkpoint)
    count = len(found.classes)
    return Shapes("shapes", found.polygons, np.full(count, not found.are_cells), _text(found.classes), {})


def _text(words: Sequence[str | None]) -> pa.Array:
    try:
        return pa.array(words, pa.string())
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"the truth has a name that is no text: {error.reason}") from error


def _numbers(name: str, words: pa.Array) -> NDArray[np.float64]:
    try:
        numbers: NDArray[np.float64] = words.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise InvalidArgument(f"{name} is no number in every row: {error}") from error
    wrong = ~(np.abs(numbers) <= FARTHEST_PX)
    if wrong.any():
        raise InvalidArgument(f"{name} is no place on a slide in {wrong.sum():,} rows, such as {numbers[wrong][0]}")
    return numbers


def _of_json(data: bytes) -> Truth:
    content = _json(data)
    if isinstance(content, dict) and BATCH in content:
        return _batch(content[BATCH])
    if isinstance(content, dict) and "tiles" in content:
        return published_files.truth(published_files.parse(published_files.HumanLabels, data, "the truth"))
    return _shapes(content)


def _batch(files: Any) -> Shapes:
    """A batch of the published system: its cells and what was said of them, in either order."""
    if not isinstance(files, list) or len(files) != 2:
        raise InvalidArgument("a batch is two files: cell_labels.json and human_labels.json")
    found, said = sorted(files, key=_has_labels)
    labels, cells = published_truth.labelled(json.dumps(found).encode(), json.dumps(said).encode())
    mender = Mender()
    shapes = [_largest(mender.mended(cell.outline, number), number) for number, cell in enumerate(cells, 1)]
    if cells and not (np.abs(shapely.total_bounds(shapes)) <= FARTHEST_PX).all():
        raise InvalidArgument("the truth lies nowhere on a slide")
    parts = {"slide": [cell.slide for cell in cells], "tile": [cell.tile for cell in cells]}
    parts |= {
        name: [word] * len(cells) for name, word in (("batch", labels.batch), ("annotator", labels.annotator)) if word
    }
    return Shapes(
        kind="shapes",
        shapes=np.array(shapes, dtype=object),
        is_region=np.zeros(len(cells), bool),
        classes=pa.array([cell.name for cell in cells], pa.string()),
        parts={name: pa.array(words, pa.string()) for name, words in parts.items()},
    )


def _has_labels(file: Any) -> bool:
    tiles = file.get("tiles") if isinstance(file, dict) else None
    return isinstance(tiles, list) and any(isinstance(tile, dict) and "labelled_cells" in tile for tile in tiles)


def _largest(shape: Any, number: int) -> Any:
    parts = [part for part in shapely.get_parts(shape).tolist() if part.geom_type == "Polygon"]
    if not parts:
        raise InvalidArgument(f"cell {number} of the truth has no outline that encloses anything")
    return max(parts, key=lambda part: part.area)


def _shapes(content: Any) -> Shapes:
    shapes, regions, classes, slides = [], [], [], []
    mender = Mender()
    for number, feature in enumerate(_features(content), 1):
        name = _class(feature)
        if name is None:
            continue
        properties = feature["properties"]
        for shape in _parts(feature.get("geometry"), number, mender):
            shapes.append(shape)
            regions.append(shape.geom_type == "Polygon" and properties.get("objectType", "annotation") == "annotation")
            classes.append(name)
            slides.append(properties.get("slide"))
    named = any(isinstance(slide, str) for slide in slides)
    if named and not all(isinstance(slide, str) for slide in slides):
        raise InvalidArgument("some features of the truth say their `slide`, and others do not")
    return Shapes(
        kind="shapes",
        shapes=np.array(shapes, dtype=object),
        is_region=np.array(regions, bool),
        classes=_text(classes),
        parts={"slide": _text(slides)} if named else {},
    )


def _json(data: bytes) -> Any:
    def refuse(word: str) -> None:
        raise InvalidArgument(f"the truth has {word} where a number belongs")

    try:
        return json.loads(data, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"the truth is no JSON: {str(error)[:200]}") from error


def _features(content: Any) -> Iterator[Mapping[str, Any]]:
    """Features of a collection, of a list as QuPath writes it, or one."""
    if isinstance(content, dict) and content.get("type") == "FeatureCollection":
        content = content.get("features")
    elif isinstance(content, dict) and content.get("type") == "Feature":
        content = [content]
    if not isinstance(content, list):
        raise InvalidArgument("the truth is no GeoJSON: it has neither a FeatureCollection nor a list of features")
    for number, feature in enumerate(content, 1):
        if not isinstance(feature, dict) or not isinstance(feature.get("properties") or {}, dict):
            raise InvalidArgument(f"number {number} of the truth is no feature of GeoJSON")
        yield {**feature, "properties": feature.get("properties") or {}}


def _class(feature: Mapping[str, Any]) -> str | None:
    """As QuPath tells it; None where nobody gave one."""
    said = feature["properties"].get("classification")
    name = said.get("name") if isinstance(said, dict) else said
    if isinstance(said, dict) and name is None and isinstance(said.get("names"), list):
        name = ": ".join(map(str, said["names"]))
    return name.strip() or None if isinstance(name, str) else None


def _parts(geometry: Any, number: int, mender: Mender) -> list[Any]:
    """Points and polygons of a feature."""
    kinds = ("Point", "MultiPoint", "Polygon", "MultiPolygon")
    if not isinstance(geometry, dict) or geometry.get("type") not in kinds:
        raise InvalidArgument(f"feature {number} of the truth is none of {', '.join(kinds)}")
    try:
        shape = mender.mended(shapely.force_2d(shapely.from_geojson(json.dumps(geometry))), number)
    except (shapely.errors.ShapelyError, ValueError, TypeError) as error:
        raise InvalidArgument(f"feature {number} of the truth cannot be drawn: {str(error)[:200]}") from error
    parts = [part for part in shapely.get_parts(shape).tolist() if part.geom_type in ("Point", "Polygon")]
    bounds = np.abs(shape.bounds)
    if not parts or shape.is_empty or not (bounds <= FARTHEST_PX).all():
        raise InvalidArgument(f"feature {number} of the truth lies nowhere on a slide")
    return parts
