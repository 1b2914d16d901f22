"""The claim of Morula: ten pages label a slide better than names of clusters do, and far better than nothing."""

import pytest

from morula.demo.flow import demonstrate, run_slide
from morula.onebox.client import Client
from tests.e2e.conftest import Paint

SIDE_PX = 2048
# Nobody has tuned anything on these.
SEEDS = (770_001, 770_002, 770_003)
# The default once: what it takes longer for is not what these tests are about.
SEGMENTERS = ("morula-nuclei", "watershed", "watershed")


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "segmenter"), list(zip(SEEDS, SEGMENTERS, strict=True)))
def test_pages_beat_cluster_names_and_the_constant(client: Client, paint: Paint, seed: int, segmenter: str) -> None:
    truth = paint(SIDE_PX, SIDE_PX, seed)
    shown = demonstrate(client, run_slide(client, truth.slide, segmenter=segmenter), truth.cells)
    assert shown.page_count == 10
    assert shown.match.detection_f1 >= 0.7
    assert shown.macro_f1 >= shown.macro_f1_clusters
    assert shown.macro_f1 >= shown.macro_f1_constant + 0.3
    assert shown.claim is not None
    assert shown.claim["low"] <= shown.accuracy <= shown.claim["high"]


@pytest.mark.slow
def test_the_summary_keeps_its_words(client: Client, paint: Paint) -> None:
    truth = paint(SIDE_PX, SIDE_PX, SEEDS[0])
    summary = demonstrate(client, run_slide(client, truth.slide), truth.cells, page_count=1).summary()
    words = [
        "cells",
        "clusters",
        "pages",
        "marks",
        "macro_f1",
        "macro_f1_clusters",
        "macro_f1_constant",
        "accuracy",
        "coverage",
        "claimed",
        "seconds",
        "keys",
    ]
    assert set(words) <= set(summary)
    assert set(summary["seconds"]) >= {"plan", "cut", "segment", "embed", "settle", "cluster", "tables", "label"}
