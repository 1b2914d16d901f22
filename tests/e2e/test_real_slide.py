"""A real slide goes through."""

from pathlib import Path

import pytest

from morula.demo.flow import run_slide
from morula.onebox.client import Client

REAL = Path("slides", "real", "CMU-1-Small-Region.svs")


@pytest.mark.slow
def test_a_real_slide_goes_through(client: Client, data_dir: Path) -> None:
    job = run_slide(client, data_dir / REAL, segmenter="watershed")
    assert (job["verdict"], job["failed_tile_count"]) == ("cells", 0)
    # About 0.9 mm2 of skin: a few thousand nuclei, neither hundreds nor a hundred thousand.
    assert 1_000 < job["cell_count"] < 20_000
    page = client.page(job["labelling_id"])
    assert page is not None
    assert len(page["cells"]) == 12
    assert client.bytes(page["cells"][0]["sheet"]).startswith(b"\xff\xd8")


@pytest.mark.slow
def test_a_sample_of_it_goes_through_by_default(client: Client, data_dir: Path) -> None:
    job = run_slide(client, data_dir / REAL, sample_tile_count=1)
    assert (job["verdict"], job["kept_tile_count"], job["failed_tile_count"]) == ("cells", 1, 0)
    assert job["params"]["segmenter"] == "morula-nuclei"
    assert 20 < job["cell_count"] < 700
