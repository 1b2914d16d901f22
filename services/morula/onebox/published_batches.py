"""Batches of the published system in a folder: which files belong together."""

from __future__ import annotations

from pathlib import Path

from morula.evaluator.published_files import Batch, CellLabels, HumanLabels, parse, truth, truth_of
from morula.evaluator.truth_table import TruthTable
from morula.onebox.failures import WrongUse, read_bytes

FOUND = "cell_labels.json"
SAID = "human_labels_*.json"
BATCHES = "batch_*"


def is_published(path: Path) -> bool:
    """Whether it is a batch's file, or a folder of batches."""
    return path.is_dir() or path.suffix == ".json"


def read(found: Path, said: Path) -> tuple[list[Batch], list[str]]:
    """The batches of a file or folder with what a person said of each, and in words which have no labels.

    Of several files of labels the newest counts, by its name.
    """
    if not found.is_dir():
        return [_batch(found.parent.name, found, said)], []
    folders = [folder for folder in (found, *sorted(found.glob(BATCHES))) if (folder / FOUND).is_file()]
    if not folders:
        raise WrongUse(f"{found} has no {FOUND}, nor a {BATCHES} that has one")
    pairs = [(folder, _newest(said / folder.relative_to(found))) for folder in folders]
    labelled = [_batch(folder.name, folder / FOUND, newest) for folder, newest in pairs if newest]
    if not labelled:
        raise WrongUse(f"{said} has no {SAID} of any batch")
    return labelled, [f"{folder.name} has no {SAID}: it is left out" for folder, newest in pairs if not newest]


def read_labels(said: Path) -> tuple[TruthTable, list[str]]:
    """What people said, of cells by their own ids: a folder of batches, or a file of labels, whose batch has to lie
    beside it where the labels do not have the ids themselves."""
    beside = said.parent / FOUND
    if said.is_dir() or beside.is_file():
        batches, remarks = read(said if said.is_dir() else beside, said)
        return truth_of(batches), [*remarks, *_left_out([batch.said for batch in batches])]
    labels = parse(HumanLabels, read_bytes(said), said.name)
    if any(cell.uuid is None for tile in labels.tiles for cell in tile.labelled_cells):
        raise WrongUse(
            f"{said} names cells by their numbers within tiles, and {beside}, which has their ids, is not there"
        )
    return truth(labels), _left_out([labels])


def _left_out(said: list[HumanLabels]) -> list[str]:
    count = sum(one.left_out() for one in said)
    return [f"{count:,} labels are of a class with a blank name: they are left out"] if count else []


def _batch(name: str, found: Path, said: Path) -> Batch:
    return Batch(
        name.removeprefix("batch_"),
        parse(CellLabels, read_bytes(found), found.name),
        parse(HumanLabels, read_bytes(said), said.name),
    )


def _newest(folder: Path) -> Path | None:
    return max(folder.glob(SAID), default=None, key=lambda path: path.name)
