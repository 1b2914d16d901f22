"""The pictures of the guide can be taken, and are those that the papers show."""

from __future__ import annotations

import re

from morula.onebox.client import Client
from tests.web.board import page_number, settled
from tests.web.conftest import ROOT, OpenPage
from tests.web.tour import IMAGES, evaluated, sampled, tour

MOST_BYTES = 150_000


def test_the_pictures_of_the_guide(open_page: OpenPage, address: str, labelling: str) -> None:
    page = open_page(f"/board/{labelling}")
    for key in "12":
        page_number(page)
        page.keyboard.press(key)
        settled(page)
    with Client(address) as client:
        clustering = client.get(f"/v1/clusterings/{client.get(f'/v1/labellings/{labelling}')['clustering_id']}")
        job_id = clustering["slides"][0]["job_id"]
        sample = sampled(client, job_id, lambda x, _: "Tumour" if x < 512 else "Stroma", cells_per_batch=50)
        evaluation = evaluated(client, sample, clustering["id"], 100)
    taken = {name for name, png in tour(page, address, labelling, sample, evaluation) if png}
    papers = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {name for paper in papers for name in re.findall(r"images/(\w+)\.webp", paper.read_text(encoding="utf-8"))}
    assert taken == shown == {path.stem for path in IMAGES.iterdir()}
    assert max(path.stat().st_size for path in IMAGES.iterdir()) < MOST_BYTES
