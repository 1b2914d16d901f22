"""A real slide goes through."""

from pathlib import Path

import pytest

from morula.demo.flow import run_slide
from morula.onebox.client import Client


@pytest.mark.slow
def test_a_real_slide_goes_through(client: Client, data_dir: Path) -> None:
    job = run_slide(client, data_dir / "slides" / "real" / "CMU-1-Small-Region.svs")
    assert (job["verdict"], job["failed_tile_count"]) == ("cells", 0)
    # About 0.9 mm2 of skin: a few thousand nuclei, neither hundreds nor a hundred thousand.
    assert 1_000 < job["cell_count"] < 20_000
    page = client.page(job["labelling_id"])
    assert page is not None
    assert len(page["cells"]) == 12
    assert client.bytes(page["cells"][0]["sheet"]).startswith(b"\xff\xd8")
