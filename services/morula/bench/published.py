"""Cells laid out as in Tables 1 and 2 of arXiv 2604.09370: 29 tiles of 13 slides, each of another tissue, in 3 batches.

The paper and its notebooks tell: the cells of all (3,696), that batches 1 and 3 have 2,579 of them in one cluster, the
accuracies of these, the second batch's 15 tiles, the tissues and species, which tissues are perfect or rest on a single
tile, the cells of some tissues, and from their accuracies how many cells are wrong in each. What it does not tell is
chosen so that it all adds up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from morula.evaluator.cells import Cells, Part

ONE, OTHER = 0, 1
"""Clusters of the published result, noise counted as one."""


@dataclass(frozen=True)
class Tile:
    """Cells of the tile's commonest class and of another one, and how many of each lie in a second cluster."""

    batch: int
    tissue: str
    common: int
    rare: int = 0
    common_apart: int = 0
    rare_apart: int = 0


TILES = (
    *(Tile(1, "Appendix", *cells) for cells in ((633, 29), (60, 12), (50, 8), (30, 4), (25, 4))),
    *(Tile(1, "Skeletal muscle", *cells) for cells in ((45, 9),)),
    *(Tile(1, tissue, cells) for tissue, cells in (("Prostate", 194), ("Cervix", 194))),
    *(Tile(3, "Skeletal muscle", *cells) for cells in ((79, 16), (60, 10))),
    Tile(3, "Ovary", 415, 2),
    *(
        Tile(3, tissue, cells)
        for tissue, cells in (("Lung", 240), ("Submandibular gland", 260), ("Seminal vesicle", 200))
    ),
    *(Tile(2, "Compact bone", *cells) for cells in ((42, 3, 2, 1), (21, 5, 1, 0), (15, 5), (13, 2))),
    *(Tile(2, "Kidney", *cells) for cells in ((136, 7), (60, 0), (47, 0))),
    Tile(2, "Femur", 206, 1),
    *(Tile(2, "Ovary", cells) for cells in (100, 90, 80)),
    *(Tile(2, "Seminal vesicle", cells) for cells in (133, 84)),
    *(Tile(2, tissue, cells) for tissue, cells in (("Pancreas", 28), ("Fallopian tube", 39))),
)


def species(tissue: str) -> str:
    """Whose tissue it is."""
    return {"Kidney": "Rat", "Femur": "Rabbit"}.get(tissue, "Human")


def cells() -> Cells:
    """Every cell of the layout, its class, and the cluster that the published result has it in."""
    truth, cluster, tile = [], [], []
    for number, one in enumerate(TILES):
        sizes = (one.common - one.common_apart, one.common_apart, one.rare - one.rare_apart, one.rare_apart)
        truth += np.repeat([0, 0, 1, 1], sizes).tolist()
        cluster += np.repeat([ONE, OTHER, ONE, OTHER], sizes).tolist()
        tile += [number] * sum(sizes)
    tissue = Part.of([TILES[number].tissue for number in tile])
    return Cells(
        Part(np.asarray(truth), ("common", "rare")),
        np.asarray(cluster) + 1,
        slide=tissue,
        tile=Part.of(tile),
        batch=Part.of([TILES[number].batch for number in tile]),
        tissue=tissue,
        species=Part.of([species(TILES[number].tissue) for number in tile]),
    )
