"""A finished run of the published system in a folder: its slides with tiles, cells, clusters and classes.

Files are known by their names alone, wherever in the folder they lie. Paths within them are of another machine: of
these only the last part is read, and nothing is opened but what lies in the folder.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from morula.common.published import TileName, file_name
from morula.common.slide_sets import files_below
from morula.evaluator.published_files import (
    AnnotatedCell,
    Annotations,
    Assignments,
    Boxes,
    Classification,
    parse,
)
from morula.onebox.failures import Unreadable, WrongUse, read_bytes

PICTURES = (".png", ".jpg", ".tif")
MASK, BOXES = "_mask.png", "_bboxes.json"
ASSIGNMENTS, CLASSIFICATION, ANNOTATIONS = (
    "cluster_assignments.json",
    "classification_results.json",
    "_annotations.json",
)
REPRESENTATIVES = "filtered_annotations.json"
DRAWN = "annot"
"""In the names of folders whose tiles have something drawn on them."""
MAX_JSON_BYTES = 2 << 30

Kind = TypeVar("Kind", bound=BaseModel)


@dataclass
class TileFiles:
    """The files of one tile, each where there is one."""

    name: TileName
    picture: Path | None = None
    mask: Path | None = None
    boxes: Path | None = None


@dataclass
class SlideFolder:
    """What a run leaves of one slide."""

    slide_id: str
    tiles: dict[str, TileFiles] = field(default_factory=dict)
    assignments: Path | None = None
    classification: Path | None = None
    annotations: Path | None = None


@dataclass(frozen=True)
class Known:
    """What was said of a cell."""

    cluster: int | None = None
    confidence: float | None = None
    pred_class: str | None = None
    number: int | None = None
    polygon: Sequence[tuple[float, float]] = ()


class Remarks:
    """What could not be taken over, counted by what it is."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, words: str, example: str = "", count: int = 1) -> None:
        self._counts[words] += count
        self._first.setdefault(words, example)

    def lines(self) -> list[str]:
        return [
            f"{count:,} {words}" + (f" (the first: {self._first[words]})" if self._first[words] else "")
            for words, count in self._counts.items()
        ]


def slides_in(folder: Path) -> list[SlideFolder]:
    """The slides of a run, by name."""
    if not folder.is_dir():
        raise WrongUse(f"{folder} is no folder: name the one that the run wrote to, unpacked")
    slides: dict[str, SlideFolder] = {}

    def slide(name: str) -> SlideFolder:
        return slides.setdefault(name, SlideFolder(name))

    for relative, path in sorted(files_below(folder).items(), key=_finished_first):
        parent = path.parent.name
        if path.name == ASSIGNMENTS:
            slide(parent).assignments = slide(parent).assignments or path
        elif path.name == CLASSIFICATION:
            slide(parent).classification = slide(parent).classification or path
        elif path.name.endswith(ANNOTATIONS) and path.name != REPRESENTATIVES:
            slide(parent).annotations = slide(parent).annotations or path
        elif DRAWN not in str(Path(relative).parent).lower():
            _take_tile_file(path, slide)
    if not any(one.tiles for one in slides.values()):
        raise WrongUse(f"{folder} has no tiles of the published system (SLIDE__MAG_1d00__X_0__Y_0__IDX_000000.png)")
    return [slides[name] for name in sorted(slides)]


def _finished_first(entry: tuple[str, Path]) -> tuple[bool, str]:
    """Tiles that the filter kept before those that it was given, so that of two the former count."""
    return "filter" not in entry[0], entry[0]


def _take_tile_file(path: Path, slide: Callable[[str], SlideFolder]) -> None:
    for ending, kind in ((MASK, "mask"), (BOXES, "boxes"), *((ending, "picture") for ending in PICTURES)):
        name = TileName.of(path.name.removesuffix(ending)) if path.name.endswith(ending) else None
        if name is not None:
            tile = slide(name.slide).tiles.setdefault(name.text, TileFiles(name))
            if getattr(tile, kind) is None:
                setattr(tile, kind, path)
            return


def known_cells(slide: SlideFolder, remarks: Remarks) -> Mapping[str, dict[int, Known]]:
    """What was said of the cells of a slide, by tile and label; what a later stage says of the same counts."""
    known: dict[str, dict[int, Known]] = defaultdict(dict)
    if slide.annotations is not None:
        for tile in _read(Annotations, slide.annotations).root:
            cells = known[_stem(tile.tile_path)]
            for outlined in tile.cells:
                if outlined.label_id is None:
                    remarks.add("cells of JSON have no label_id: what is said of them is left out", tile.tile_path)
                else:
                    cells[outlined.label_id] = _of_annotation(outlined)
    if slide.classification is not None:
        for named in _read(Classification, slide.classification).root:
            cells = known[_stem(named.tile_name)]
            for cell in named.classified_cells:
                before = cells.get(cell.label_id, Known())
                said = (cell.cluster_id, cell.cluster_confidence, cell.pred_class)
                cells[cell.label_id] = Known(*said, before.number, before.polygon)
    if slide.assignments is not None:
        for one in _read(Assignments, slide.assignments).root:
            cells = known[file_name(one.bbox_file).removesuffix(BOXES)]
            before = cells.get(one.label_id, Known())
            cells[one.label_id] = Known(
                one.cluster_id, one.confidence, before.pred_class, before.number, before.polygon
            )
    for tile_name in known.keys() - slide.tiles.keys():
        remarks.add("tiles are named in JSON and are not in the folder: their cells are left out", tile_name)
    return known


def _of_annotation(cell: AnnotatedCell) -> Known:
    return Known(cell.cluster_id, cell.cluster_confidence, cell.pred_class, cell.cell_id, cell.polygon)


def boxes_of(path: Path) -> Boxes:
    """The boxes of a tile."""
    return _read(Boxes, path)


def _stem(path: str) -> str:
    name = file_name(path)
    return next((name.removesuffix(ending) for ending in PICTURES if name.endswith(ending)), name)


def _read(kind: type[Kind], path: Path) -> Kind:
    if path.stat().st_size > MAX_JSON_BYTES:
        raise Unreadable(f"{path} has more than {MAX_JSON_BYTES >> 30} GiB, more than is read at once")
    return parse(kind, read_bytes(path), str(path))
