"""Brings labels of a file of the published system into a sample: all of them, or none."""

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection

from morula.common.errors import InvalidArgument
from morula.gateway.ledger import label_sets, samples
from morula.gateway.ledger.records import Record
from morula.gateway.sample_schemas import FileTile, HumanLabels
from morula.gateway.samples.appending import append_event
from morula.gateway.samples.kinds import ImportedLabel, LabelsImported, LabelsImportedBody
from morula.gateway.samples.published import ENDING, names_of, numbers_of


def import_labels(tx: Connection, sample_id: str, file: HumanLabels, actor: str, event_id: str | None) -> int:
    """Append an event with the labels of a file; its number. Classes that the label set lacks are added to it.

    InvalidArgument where the file names a tile or a cell that the sample does not have: it is of another sample.
    """
    row = samples.get_sample(tx, sample_id, lock=True)
    slides = samples.sample_slides(tx, sample_id)
    tiles = {names_of(tile, slides[tile["slide"]]): tile for tile in samples.tiles_with_cells(tx, sample_id)}
    said = [(_found(tiles, tile), tile) for tile in file.tiles]
    numbers = _numbers(tx, row["label_set_id"], file)
    labels = [label for mine, tile in said for label in _labels(mine, tile, numbers)]
    if not labels:
        raise InvalidArgument("The file says nothing of any cell.")
    body = LabelsImportedBody(name=file.batch, labels=labels)
    event = LabelsImported(kind="labels_imported", body=body, actor=actor, event_id=event_id)
    return append_event(tx, sample_id, event)[0]


def _found(tiles: Mapping[tuple[str, str], Record], tile: FileTile) -> Record:
    mine = tiles.get((tile.slide_id, tile.tile_name.removesuffix(ENDING)))
    if mine is None:
        raise InvalidArgument(f"The sample has no tile {tile.tile_name[:200]!r} of a slide {tile.slide_id[:200]!r}.")
    uuids = dict(zip(numbers_of(mine), mine["cell_ids"], strict=True))
    numbers = [*(cell.cell_id for cell in tile.labelled_cells), *tile.badly_segmented]
    foreign = next((number for number in numbers if number not in uuids), None)
    if foreign is not None:
        raise InvalidArgument(f"Tile {tile.tile_name[:200]!r} has no cell {foreign} in this sample.")
    for cell in tile.labelled_cells:
        if cell.uuid not in (None, uuids[cell.cell_id]):
            raise InvalidArgument(
                f"Cell {cell.cell_id} of tile {tile.tile_name[:200]!r} is another one in the file: its cells were "
                "found by another job."
            )
    return mine


def _labels(mine: Record, tile: FileTile, numbers: Mapping[int, int]) -> Iterator[ImportedLabel]:
    """What the file says of a tile; of a cell that is there twice the last counts."""
    classes = {cell.cell_id: numbers[cell.human_label] for cell in tile.labelled_cells}
    flagged = set(tile.badly_segmented)
    for cell, number in enumerate(numbers_of(mine), 1):
        if number in classes or number in flagged:
            flag = True if number in flagged else None
            yield ImportedLabel(tile=mine["number"], cell=cell, class_number=classes.get(number), badly_segmented=flag)


def _numbers(tx: Connection, label_set_id: str, file: HumanLabels) -> dict[int, int]:
    """The class of the label set for each number of the file: by the name that the file gives it, else by the number.

    What is neither gets a class of its own, called as the published app calls it.
    """
    classes = label_sets.list_classes(tx, label_set_id)
    known = {one["number"] for one in classes}
    by_name = {one["name"]: one["number"] for one in classes}
    names = {one.number: one.name for one in file.classes}
    found: dict[int, int] = {}
    for number in sorted({cell.human_label for tile in file.tiles for cell in tile.labelled_cells}):
        name = names.get(number, f"Label {number}")
        if number in names or number not in known:
            if name not in by_name:
                by_name[name] = label_sets.add_class(tx, label_set_id, name, None)
            found[number] = by_name[name]
        else:
            found[number] = number
    return found
