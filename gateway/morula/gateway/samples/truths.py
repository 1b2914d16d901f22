"""A sample's labels as a truth: a table of cells as they were labelled at one moment."""

import csv
import io
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from morula.common.errors import FailedPrecondition
from morula.gateway.ledger import label_sets, samples
from morula.gateway.ledger.records import Record
from morula.gateway.samples.published import batch_called, names_of
from morula.gateway.samples.snapshots import Snapshot, Snapshots

COLUMNS = ("cell_id", "class", "slide", "tile", "batch", "annotator", "badly_segmented")


def truth_table(
    tx: Connection, snapshots: Snapshots, sample_id: str, annotator: str | None, *, leave_out_badly_segmented: bool
) -> tuple[Snapshot, bytes]:
    """The sample, and its labelled cells as CSV: of all annotators, or of one. Both are of the same moment."""
    snapshot = snapshots.of(tx, sample_id)
    tiles, slides = samples.tiles_with_cells(tx, sample_id), samples.sample_slides(tx, sample_id)
    names = {row["number"]: row["name"] for row in label_sets.list_classes(tx, snapshot.row["label_set_id"])}
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in _rows(snapshot, tiles, slides, annotator):
        *_, flagged = row
        if flagged and leave_out_badly_segmented:
            continue
        cell_id, number, *rest, _ = row
        writer.writerow([cell_id, names[number], *rest, str(flagged).lower()])
        count += 1
    if not count:
        raise FailedPrecondition("No cell of this sample has a label yet.", sample_id=sample_id)
    return snapshot, sink.getvalue().encode()


Row = tuple[str, int, str, str, str, str, bool]


def _rows(
    snapshot: Snapshot, tiles: Sequence[Record], slides: Sequence[Record], annotator: str | None
) -> Iterator[Row]:
    """Labelled cells in the order of the sample, those of one tile by annotator."""
    for tile in tiles:
        slide, number = slides[tile["slide"]], tile["number"]
        where = (slide["slide_id"], names_of(tile, slide)[1], batch_called(tile["batch"]))
        for name, said in sorted(snapshot.words.by.items()):
            if annotator is not None and name != annotator:
                continue
            for cell, cell_id in enumerate(tile["cell_ids"], 1):
                if (number, cell) in said.classes:
                    place = (number, cell)
                    yield cell_id, said.classes[place], *where, name, place in said.flagged
