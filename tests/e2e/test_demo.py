"""The claim of Morula: ten pages label a slide better than names of clusters do, and far better than nothing."""

import pytest

from morula.demo.flow import demonstrate, run_slide
from morula.onebox.client import Client
from tests.e2e.conftest import Paint

# Nobody has tuned anything on these seeds. The default segmenter takes longer, and has the smallest slide.
RUNS = [("morula-nuclei", 1024, 770_001), ("watershed", 2048, 770_002), ("watershed", 2048, 770_003)]


@pytest.mark.slow
@pytest.mark.parametrize(("segmenter", "side_px", "seed"), RUNS)
def test_pages_beat_cluster_names_and_the_constant(
    client: Client, paint: Paint, segmenter: str, side_px: int, seed: int
) -> None:
    truth = paint(side_px, side_px, seed)
    shown = demonstrate(client, run_slide(client, truth.slide, segmenter=segmenter), truth.cells)
    assert shown.page_count == 10
    assert shown.match.detection_f1 >= 0.7
    assert shown.macro_f1 >= shown.macro_f1_clusters
    assert shown.macro_f1 >= shown.macro_f1_constant + 0.3
    assert shown.claim is not None
    assert shown.claim["low"] <= shown.accuracy <= shown.claim["high"]


@pytest.mark.slow
def test_the_summary_keeps_its_words(client: Client, paint: Paint) -> None:
    segmenter, side_px, seed = RUNS[0]
    truth = paint(side_px, side_px, seed)
    job = run_slide(client, truth.slide, segmenter=segmenter)
    summary = demonstrate(client, job, truth.cells, page_count=1).summary()
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
