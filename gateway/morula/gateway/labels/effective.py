"""The label of each cell: the class that a person gave it, else what spreads to it, else none.

The page applies the same order; both are tested by the cases of `tests/fixtures/effective_labels.json`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

NOT_SURE = 255
Spread = Literal["none", "model", "clusters"]
SOURCES = ("none", "model", "cluster", "mark")


@dataclass(frozen=True)
class Effective:
    """Class of each row (0 none, NOT_SURE) and where it comes from (index into SOURCES)."""

    classes: npt.NDArray[np.uint8]
    sources: npt.NDArray[np.uint8]


def spread_classes(
    leaf: npt.NDArray[np.uint16],
    node_of_leaf: Sequence[int],
    names: Mapping[int, int],
    spread: Spread,
    model_classes: npt.NDArray[np.uint8] | None,
) -> npt.NDArray[np.uint8]:
    """Class of each row by what spreads: 0 outside named clusters, NOT_SURE where the model is not sure."""
    if spread == "model" and model_classes is not None:
        return model_classes
    classes = np.zeros(len(leaf), np.uint8)
    if spread == "clusters":
        of_leaf = np.array([names.get(node, 0) for node in node_of_leaf], np.uint8)
        known = leaf < len(of_leaf)
        classes[known] = of_leaf[leaf[known]]
    return classes


def effective(
    spread: Spread, spread_class: npt.NDArray[np.uint8], marks: Mapping[int, int], odd: Mapping[int, int]
) -> Effective:
    """A mark, else what spreads, else none. Overrides are marks, too.

    The class with which a page was named does not spread to an odd cell of that page.
    """
    classes = spread_class.copy()
    spreads = {"none": 0, "model": SOURCES.index("model"), "clusters": SOURCES.index("cluster")}[spread]
    sources = np.where(classes > 0, spreads, 0).astype(np.uint8)
    dropped = {row: 0 for row, number in odd.items() if number == classes[row]}
    for row, number in (dropped | dict(marks)).items():
        classes[row] = number
        sources[row] = SOURCES.index("mark")
    return Effective(classes, sources)
