"""What is no slide, or half of one, is refused with a reason and leaves nothing; the server lives."""

from __future__ import annotations

from pathlib import Path

import pytest

from morula.common.errors import MorulaError, SlideScaleUnknown
from morula.demo.flow import last_state, run_slide
from morula.onebox.client import Client
from morula.onebox.machine import LocalMachine
from morula.onebox.results import find_slides
from tests.e2e.conftest import write_blank
from tests.servers.jobs import classical


def slides(client: Client) -> set[str]:
    return {slide["id"] for slide in client.get("/v1/slides")["slides"]}


def files(machine: LocalMachine) -> set[Path]:
    """What lies there, but for the store's locks: there is a fixed number, each made when first needed."""
    tops = (machine.folder.objects, machine.folder.scratch)
    found = {path for top in tops for path in top.rglob("*") if path.is_file()}
    return {path for path in found if path.parent != machine.folder.objects / ".morula" / "locks"}


@pytest.mark.parametrize("name", ["unopenable.tiff", "unreadable.svs", "broken.svs"])
def test_a_broken_slide_is_refused(machine: LocalMachine, client: Client, data_dir: Path, name: str) -> None:
    before = slides(client), files(machine)
    with pytest.raises(MorulaError) as refused:
        client.upload({name: data_dir / "slides" / "broken" / name})
    assert refused.value.reason == "SLIDE_UNREADABLE"
    # What others deleted may go meanwhile: they share the machine.
    assert (slides(client), files(machine) - before[1]) == (before[0], set())


@pytest.mark.parametrize("name", ["small.svs", "boxes.tiff", "boxes_dcm", "highdicom_sm_image.dcm"])
def test_a_tiny_valid_slide_is_accepted(client: Client, data_dir: Path, name: str) -> None:
    slide = client.upload(find_slides(data_dir / "slides" / "broken" / name)[0][0])
    assert slide["width_px"] > 0
    assert slide["id"] in slides(client)


def test_a_job_without_a_scale_says_how_to_pass_it(client: Client, tmp_path: Path) -> None:
    slide = client.upload({"no-scale.tiff": write_blank(tmp_path / "no-scale.tiff", 512, mpp=None)})
    with pytest.raises(SlideScaleUnknown, match="slide_mpp"):
        client.post("/v1/jobs", classical(slide["id"]))
    job = client.post("/v1/jobs", classical(slide["id"], slide_mpp=0.5))
    assert last_state(client.watch(job["id"]))["state"] == "succeeded"


def test_no_tissue_is_an_answer(client: Client, tmp_path: Path) -> None:
    job = run_slide(client, write_blank(tmp_path / "white.tiff", 2048, mpp=0.5))
    assert (job["state"], job["verdict"], job["cell_count"] or 0) == ("succeeded", "no_tissue", 0)
