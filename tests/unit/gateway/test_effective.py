"""Effective labels: the gateway keeps to the cases that the page keeps to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morula.gateway.labels.effective import SOURCES, effective, spread_classes

CASES = json.loads((Path(__file__).parents[2] / "fixtures" / "effective_labels.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_shared_cases(case: dict[str, Any]) -> None:
    names = {one["node_id"]: one["class_number"] for one in case["cluster_names"]}
    layer = np.array(case["class_layer"], np.uint8) if case["class_layer"] else None
    leaf = np.array(case["leaf"], np.uint16)
    spreading = spread_classes(leaf, case["node_of_leaf"], names, case["spread"], layer)
    found = effective(case["spread"], spreading, dict(case["marks"]), dict(case["odd"]))
    told = [
        [number, SOURCES[source]] for number, source in zip(found.classes.tolist(), found.sources.tolist(), strict=True)
    ]
    assert told == case["expected"]
