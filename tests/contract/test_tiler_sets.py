"""Slides of several files over a real channel: each file under its scanner's name, wherever the store holds it."""

from pathlib import Path

import numpy as np

from morula.common import errors
from morula.v1 import tiler_pb2
from tests.contract.test_tiler import bench, decode, refusal
from tests.unit.tiler.test_sets import PARTS, PIXELS, hamamatsu, ome_description, write_parts


async def test_a_set_is_read_whole_or_refused_by_the_name_of_what_is_missing(tmp_path: Path) -> None:
    write_parts(tmp_path, ome_description(), {})
    async with bench(tmp_path) as tiler:
        slide = tiler.shelve(*(tmp_path / name for name in PARTS))
        found = await tiler.stub.InspectSlide(tiler_pb2.InspectSlideRequest(slide=slide))
        assert (found.width_px, found.height_px, found.vendor) == (PIXELS.shape[1], PIXELS.shape[0], "ome-tiff")
        size = {"width_px": 200, "height_px": 200, "downsample": 1.0}
        answer = await tiler.stub.RenderRegion(tiler_pb2.RenderRegionRequest(slide=slide, **size))
        assert np.abs(decode(answer.jpeg).astype(int) - PIXELS[:200, :200]).mean() < 6, "all of its colours"

        part = tiler.shelve(*(tmp_path / name for name in PARTS[:2]))
        failure = await refusal(tiler.stub.InspectSlide(tiler_pb2.InspectSlideRequest(slide=part)))
        assert isinstance(failure, errors.SlideUnreadable)
        assert "'blue.tif', which is not among the slide's files" in str(failure)


async def test_an_index_sees_none_of_this_machine(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        for named in ("../../../etc/hostname", str(tmp_path / "slide.tiff"), "/nowhere"):
            path = hamamatsu(tmp_path, ImageFile=named)
            path = path.rename(tmp_path / f"{Path(named).name}.vms")
            slide = tiler.shelve(path, tmp_path / "a.jpg", tmp_path / "map.jpg")
            failure = await refusal(tiler.stub.InspectSlide(tiler_pb2.InspectSlideRequest(slide=slide)))
            assert isinstance(failure, errors.SlideUnreadable)
            words = f"{path.name} names '{Path(named).name}', which is not among the slide's files"
            assert str(failure) == words
