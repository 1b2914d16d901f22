"""From artifacts and a truth to an evaluation: finds the cells that the truth speaks of, and has them measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from morula.common.compute import Checkpoint
from morula.common.errors import InvalidArgument
from morula.common.progress import Report
from morula.common.refs import key_of
from morula.common.store import Store
from morula.evaluator import matching, named, report, truth_table
from morula.evaluator.cells import IN_NONE, Cells, Ints, Match, Named, Part, check
from morula.evaluator.comparison import compare
from morula.evaluator.core import STAGES, Wanted, evaluate
from morula.evaluator.rows import Rows
from morula.evaluator.truth import Shapes, Truth, kind_of, read
from morula.evaluator.truth_table import NAMED, Assigned
from morula.v1.artifact_pb2 import ObjectRef
from morula.v1.evaluator_pb2 import (
    CompareEvaluationsRequest,
    EvaluateClusteringRequest,
    InspectTruthResponse,
    TruthClass,
    TruthKind,
)

REACH_UM = 4.0
"""About a nucleus's radius."""
LISTED_SLIDES = 8


def inspect(store: Store, truth: ObjectRef, checkpoint: Checkpoint) -> InspectTruthResponse:
    """What a truth has."""
    found = read(store.get(*key_of(truth)), checkpoint)
    counts = sorted((one["values"], one["counts"]) for one in pc.value_counts(found.classes).to_pylist())
    return InspectTruthResponse(
        kind=TruthKind.Value(f"TRUTH_KIND_{kind_of(found).upper()}"),
        row_count=len(found.classes),
        classes=[TruthClass(name=name, row_count=count) for name, count in counts],
    )


def measure(
    store: Store, request: EvaluateClusteringRequest, checkpoint: Checkpoint, tell: Report
) -> tuple[bytes, bytes]:
    """The numbers (JSON) and the report (HTML)."""
    truth = read(store.get(*key_of(request.truth)), checkpoint)
    rows = Rows.read(store, request)
    checkpoint()
    before = len(rows.slides)
    tell(0, before + len(STAGES), "matching")
    cells, match, hows = _matched(truth, rows, checkpoint, lambda n: tell(n, before + len(STAGES), "matching"))
    known, wanted = _with_tables(cells, rows), _wanted(request)
    found = evaluate(
        known,
        match,
        wanted,
        checkpoint,
        lambda done, total, stage: tell(before + done, before + total, stage),
    )
    found = {"of": _words(rows), **found, "match": {**found["match"], "how": hows}}
    if request.HasField("labels"):
        by_name = named.measure(known, request.labels.names, wanted, checkpoint)
        found |= {"named": by_name, "remarks": [_told(by_name), *found["remarks"]]}
    return json.dumps(found, indent=1, allow_nan=False).encode(), report.page(found).encode()


def compared(store: Store, request: CompareEvaluationsRequest, checkpoint: Checkpoint) -> bytes:
    """One evaluation minus another, over the cells that both have (JSON)."""
    one, two = request.evaluation, request.against
    if one.truth.sha256 != two.truth.sha256 or one.params != two.params:
        raise InvalidArgument("these evaluations have different truths or parameters: they cannot be compared")
    truth = read(store.get(*key_of(one.truth)), checkpoint)
    rows, others = Rows.read(store, one), Rows.read(store, two)
    checkpoint()
    cells, _, _ = _matched(truth, rows, checkpoint, lambda _: None)
    place = pc.index_in(rows.ids.take(pa.array(truth_table.rows_of(cells))), value_set=others.ids)
    is_there = np.asarray(place.is_valid())
    if not is_there.any():
        raise InvalidArgument(
            "these evaluations have no matched cell in common: their cells were found by different jobs, or lie on "
            "different slides"
        )
    other = others.cluster[pc.fill_null(place, 0).to_numpy()]
    found = compare(cells, other, is_there, IN_NONE, _wanted(one), checkpoint)
    return json.dumps(found, allow_nan=False).encode()


def _matched(
    truth: Truth, rows: Rows, checkpoint: Checkpoint, tell: Callable[[int], None]
) -> tuple[Cells, Match, Mapping[str, int]]:
    """The cells that a truth speaks of and where they lie, and how they were found."""
    hows: Mapping[str, int] = {}
    if isinstance(truth, Shapes):
        reach_um = rows.request.params.reach_um or REACH_UM
        cells, match, hows = _placed(truth, rows, reach_um, checkpoint, tell)
    else:
        cells, match = truth_table.join(truth, _assigned(truth, rows))
        _check_slides(cells, match, rows)
    # Said before anything is read of cells that are not there.
    check(cells, match)
    return _with_places(cells, rows), match, hows


def _told(by_name: Mapping[str, Any] | None) -> str:
    """What labels are worth by their names, in a line for the report."""
    if by_name is None:
        return "no class of the labels is called like one of the truth's: they are measured as clusters alone"
    ours, plain = by_name["accuracy"], by_name["baselines"]["constant"]["accuracy"]
    interval = "" if ours["low"] is None else f" ({ours['low']:.1%} to {ours['high']:.1%})"
    return (
        f"by their names {ours['value']:.1%}{interval} of the matched cells have the right label; "
        f"the commonest class for everything is right for {plain['value']:.1%}"
    )


def _wanted(request: EvaluateClusteringRequest) -> Wanted:
    told = request.params
    chosen = {"draws": told.draw_count, "folds": told.fold_count, "clicks": told.click_count, "seed": told.seed}
    return Wanted(**{name: value for name, value in chosen.items() if value})


def _words(rows: Rows) -> dict[str, str]:
    names = [slide.message.names[0] for slide in rows.slides]
    more = len(names) - LISTED_SLIDES
    told = ", ".join(names[:LISTED_SLIDES]) + (f" and {more} more" if more > 0 else "")
    return {"slides": told, "measured": "labels" if rows.request.HasField("labels") else "clusters"}


def _assigned(truth: truth_table.TruthTable, rows: Rows) -> Assigned:
    ids = {"row": pa.array(np.arange(len(rows)))} | ({"cell_id": rows.cell_ids} if "cell_id" in truth.ids else {})
    return Assigned(ids, rows.cluster, rows.confidence)


def _check_slides(cells: Cells, match: Match, rows: Rows) -> None:
    """Rows count over all slides of the clustering: a truth that counts otherwise speaks of other cells."""
    if match.by != "row" or cells.slide is None or cells.cell is None:
        return
    said = np.array([_slide_called(name, rows) for name in cells.slide.names], np.int64)[cells.slide.codes]
    wrong = np.flatnonzero(said != rows.slide[cells.cell])
    if len(wrong):
        name = cells.slide.names[cells.slide.codes[wrong[0]]]
        raise InvalidArgument(
            f"row {cells.cell[wrong[0]]} of the clustering is not on the slide {name!r}, as the truth says "
            f"({len(wrong):,} such rows): rows count over all slides of the clustering, one after the other"
        )


def _with_places(cells: Cells, rows: Rows) -> Cells:
    """With the slide and tile of each as the store has them."""
    place = truth_table.rows_of(cells)
    slide = rows.slide[place]
    tissues = [one.message.tissue for one in rows.slides]
    return replace(
        cells,
        # What is drawn again for intervals are the slides that there are, whatever the truth calls them.
        slide=Part(slide, tuple(_names(rows))),
        tile=cells.tile or Part.of(rows.tile[place]),
        tissue=cells.tissue or (Part.of([tissues[one] for one in slide]) if all(tissues) else None),
    )


def _with_tables(cells: Cells, rows: Rows) -> Cells:
    """With what was clustered and what is measured of each."""
    place = truth_table.rows_of(cells)
    return replace(cells, vectors=rows.features(place), morphology=rows.measures(place))


def _names(rows: Rows) -> Iterator[str]:
    """A name of its own for each slide."""
    for slide in rows.slides:
        first = [other.message.names[0] for other in rows.slides].count(slide.message.names[0]) == 1
        yield slide.message.names[0 if first else -1]


def _placed(
    truth: Shapes, rows: Rows, reach_um: float, checkpoint: Checkpoint, tell: Callable[[int], None]
) -> tuple[Cells, Match, Mapping[str, int]]:
    """The cells that shapes mean, slide by slide."""
    slide_of = _slides_of(truth, rows)
    nothing = np.zeros(0, np.int64)
    parts = [matching.Pairs.of(nothing, nothing, "region")]
    for number, slide in enumerate(rows.slides):
        tell(number)
        for mine in by_annotator(truth, np.flatnonzero(slide_of == number)) if len(slide) else ():
            found = matching.match(slide.place, truth.shapes[mine], truth.is_region[mine], reach_um, checkpoint)
            parts.append(matching.Pairs(mine[found.shape], found.row + slide.start, found.how))
    pairs = matching.Pairs.join(parts)
    hows = {how: int((pairs.how == number).sum()) for number, how in enumerate(matching.HOWS)}
    return _cells(truth, rows, pairs), _match(truth, len(rows), pairs), hows


def by_annotator(truth: Shapes, shapes: Ints) -> Iterator[Ints]:
    """These shapes, those of each annotator by themselves: what two say of one cell are not two cells."""
    if "annotator" not in truth.parts:
        yield from (shapes,) if len(shapes) else ()
        return
    codes = truth.parts["annotator"].dictionary_encode().indices.to_numpy()[shapes]
    yield from (shapes[codes == code] for code in np.unique(codes))


def _cells(truth: Shapes, rows: Rows, pairs: matching.Pairs) -> Cells:
    shape = pa.array(pairs.shape)
    sure = rows.confidence
    told = {name: Part.of(words.take(shape)) for name, words in truth.parts.items()}
    return Cells(
        truth=Part.of(truth.classes.take(shape)),
        cluster=rows.cluster[pairs.row],
        confidence=None if sure is None else sure[pairs.row],
        cell=pairs.row,
        tile=told.get("tile"),
        batch=told.get("batch"),
        tissue=told.get("tissue"),
        species=told.get("species"),
        annotator=told.get("annotator"),
    )


def _match(truth: Shapes, cell_count: int, pairs: matching.Pairs) -> Match:
    met = np.isin(np.arange(len(truth)), pairs.shape)
    cells, counts = np.unique(pairs.row, return_counts=True)
    missing = np.setdiff1d(np.arange(cell_count), cells, assume_unique=True)
    # A region is worth as many cells as it holds, and an empty one is worth one that was not found.
    return Match(
        truth_count=len(pairs.row) + int((~met).sum()),
        matched_count=len(pairs.row),
        by="place",
        missing=_named(missing, [f"row {row}" for row in missing[:NAMED]]),
        foreign=_named(np.flatnonzero(~met), [truth.name(n) for n in np.flatnonzero(~met)[:NAMED]]),
        doubled=_named(cells[counts > 1], [f"row {row}" for row in cells[counts > 1][:NAMED]]),
    )


def _named(found: Ints, first: Sequence[str]) -> Named:
    return Named(len(found), tuple(first))


def _slides_of(truth: Shapes, rows: Rows) -> Ints:
    """Which slide each shape lies on; -1 on none of these."""
    if "slide" not in truth.parts:
        if len(rows.slides) > 1:
            raise InvalidArgument(
                f"the clustering has {len(rows.slides)} slides, and the truth does not say in `slide` which one each "
                "of its places is on"
            )
        return np.zeros(len(truth), np.int64)
    words = truth.parts["slide"].dictionary_encode()
    numbers = np.array([_slide_called(name, rows) for name in words.dictionary.to_pylist()], np.int64)
    of_shape: Ints = numbers[words.indices.to_numpy()]
    return of_shape


def _slide_called(name: str, rows: Rows) -> int:
    found = [number for number, slide in enumerate(rows.slides) if name in slide.message.names]
    if len(found) > 1:
        raise InvalidArgument(f"{len(found)} slides are called {name!r}: let the truth name them by their ids")
    return found[0] if found else matching.NOBODY
