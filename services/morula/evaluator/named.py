"""Labels by what they are called: right where a cell's class has the name that the truth gives the cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from morula.common.compute import Checkpoint, go_on
from morula.evaluator import naming
from morula.evaluator.cells import Cells, Ints
from morula.evaluator.core import Wanted, each_once, setting_of
from morula.evaluator.draws import numbers
from morula.evaluator.measures import of_given


def measure(
    cells: Cells, names: Mapping[int, str], wanted: Wanted, checkpoint: Checkpoint = go_on
) -> dict[str, Any] | None:
    """Scores of classes whose numbers are the cells' clusters; None where no class is called like one of the truth's.

    Small and large letters are the same, but where the truth has two classes that differ by them alone. A cell without
    a label, or with one that the truth does not know, is wrong.
    """
    once, _ = each_once(cells)
    codes = _codes(once.truth.names)
    same = {
        number: code
        for number, name in names.items()
        if (code := codes.get(name, codes.get(name.casefold()))) is not None
    }
    if not same:
        return None
    setting = setting_of(once, wanted, checkpoint)
    given = np.full(len(once), naming.UNSEEN, np.int64)
    for number, code in same.items():
        given[once.cluster == number] = code
    commonest = np.bincount(once.truth.codes).argmax()

    def scores(classes: Ints) -> dict[str, Any]:
        return numbers(of_given(once.truth.codes, classes, setting, setting.scores), len(once))

    return {
        **scores(given),
        "classes": {name: once.truth.names[same[number]] if number in same else None for number, name in names.items()},
        "unlabelled_count": int(once.is_noise.sum()),
        "baselines": {"constant": scores(np.full(len(once), commonest, np.int64))},
    }


def _codes(names: Sequence[str]) -> dict[str, int]:
    """The class of each name, and of each that only one of them has whatever the size of its letters."""
    folded = [name.casefold() for name in names]
    alike = {name: code for code, name in enumerate(folded) if folded.count(name) == 1}
    return alike | {name: code for code, name in enumerate(names)}
