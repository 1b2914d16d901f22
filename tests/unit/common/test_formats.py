"""Tables and arrays come back as they went, and files that are not what they say are refused."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morula.common import formats
from morula.common.errors import ArtifactInvalid, InvalidArgument
from morula.common.testing import FakeShard, fake_shard

INDEX_METADATA = {
    "cell_count": 2,
    "truncated_cell_count": 0,
    "dropped": 0,
    "slide_digest": "d",
    "slide_mpp": 0.25,
    "blocks": [[0, 0, 0, 2]],
}
INDEX = {
    "shard": [0, 1],
    "row": [5, 0],
    "cell_id": [b"0" * 16, b"1" * 16],
    "x_px": [1.5, 2.5],
    "y_px": [3.0, 4.0],
    "tile": [0, 1],
    "area_um2": [50.0, 60.0],
    "score": [1.0, 0.5],
    "state": ["whole", "slide_edge"],
    "density_per_mm2": [4000.0, 0.0],
}


@pytest.fixture(scope="module")
def shard() -> FakeShard:
    return fake_shard(size_px=192, tile_px=96)


def test_a_plan_comes_back(shard: FakeShard, tmp_path: Path) -> None:
    (tmp_path / "plan").write_bytes(shard.plan)
    for source in (shard.plan, tmp_path / "plan"):
        plan = formats.read_plan(source)
        assert plan.schema.names == formats.PLAN_SCHEMA.names
        assert formats.read_metadata(plan) == shard.metadata
        assert plan["candidate"].to_pylist() == [True] * 4


def test_tiles_come_back_with_nulls(shard: FakeShard) -> None:
    tiles = formats.read_tiles(shard.tiles)
    assert tiles["verdict"].to_pylist() == ["kept"] * 4
    columns = {name: tiles[name] for name in tiles.column_names}
    unread = {"focus": [None] * 4, "verdict": ["unreadable"] * 4}
    again = formats.read_tiles(formats.write_tiles({**columns, **unread}, formats.read_metadata(tiles)))
    assert again["focus"].null_count == 4


def test_cells_are_geoparquet_without_a_map(shard: FakeShard) -> None:
    cells = formats.read_cells(shard.cells)
    assert cells.num_rows == len(shard.nuclei.x_px)
    geo = json.loads(cells.schema.metadata[b"geo"])
    assert geo["columns"]["geometry"]["crs"] is None
    assert geo["columns"][geo["primary_column"]]["encoding"] == "WKB"
    assert cells["state"].type == pa.dictionary(pa.int8(), pa.string()) or cells["state"].type.value_type == pa.string()


def test_cells_are_polygons_for_others_too(shard: FakeShard) -> None:
    shapely = pytest.importorskip("shapely")
    cells = formats.read_cells(shard.cells)
    polygon = shapely.from_wkb(cells["geometry"][0].as_py())
    assert polygon.is_valid
    assert polygon.bounds == tuple(cells[name][0].as_py() for name in ("x_min_px", "y_min_px", "x_max_px", "y_max_px"))


def test_some_columns_are_read_alone(shard: FakeShard) -> None:
    assert formats.read_cells(shard.cells, ["x_px", "tile"]).column_names == ["x_px", "tile"]


def test_an_index_comes_back() -> None:
    index = formats.read_index(formats.write_index(INDEX, INDEX_METADATA))
    assert index["cell_id"].to_pylist() == [b"0" * 16, b"1" * 16]
    assert index["state"].to_pylist() == ["whole", "slide_edge"]
    assert formats.read_metadata(index)["blocks"] == [[0, 0, 0, 2]]


def test_no_cells_are_a_table_too() -> None:
    empty: dict[str, list[object]] = {name: [] for name in INDEX}
    index = formats.read_index(formats.write_index(empty, {**INDEX_METADATA, "cell_count": 0, "blocks": []}))
    assert index.num_rows == 0


def test_morphology_is_float_columns() -> None:
    content = formats.write_morphology({"area_um2": [1, 2]}, {"model": "morphology"})
    table = formats.read_morphology(content)
    assert table["area_um2"].to_pylist() == [1.0, 2.0]
    assert formats.read_metadata(table) == {"model": "morphology"}


def test_equal_tables_are_equal_bytes() -> None:
    assert formats.write_index(INDEX, INDEX_METADATA) == formats.write_index(
        INDEX, dict(reversed(INDEX_METADATA.items()))
    )


def test_a_writer_s_mistakes_are_told_at_once() -> None:
    with pytest.raises(InvalidArgument, match="density_per_mm2"):
        formats.write_index({name: INDEX[name] for name in INDEX if name != "density_per_mm2"}, INDEX_METADATA)
    with pytest.raises(InvalidArgument, match="blocks"):
        formats.write_index(INDEX, {"cell_count": 2})


def without(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop_columns(column)


def with_metadata(metadata: bytes | None) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.replace_schema_metadata({b"morula": metadata} if metadata is not None else None)


@pytest.mark.parametrize(
    "spoil",
    [
        without("x_px"),
        lambda table: table.set_column(3, "x_px", table["y_px"].cast(pa.string())),
        lambda table: table.slice(1),
        with_metadata(None),
        with_metadata(b"{"),
        with_metadata(b"[1]"),
        with_metadata(b"\xff"),
        with_metadata(b"{}"),
        with_metadata(
            b'{"cell_count": "two", "truncated_cell_count": 0, "dropped": 0, "slide_digest": "", "slide_mpp": 1, '
            b'"blocks": []}'
        ),
    ],
)
def test_tables_that_are_not_what_they_say_are_refused(spoil: Callable[[pa.Table], pa.Table]) -> None:
    sink = io.BytesIO()
    pq.write_table(spoil(formats.read_index(formats.write_index(INDEX, INDEX_METADATA))), sink)
    with pytest.raises(ArtifactInvalid):
        formats.read_index(sink.getvalue())


READERS: list[Callable[[bytes], Any]] = [
    formats.read_plan,
    formats.read_tiles,
    formats.read_cells,
    formats.read_index,
    formats.read_morphology,
    formats.read_outlines,
    formats.read_array,
    formats.read_json,
]


@given(st.sampled_from(READERS), st.binary(max_size=200))
@settings(deadline=None)
def test_noise_is_refused(read: Callable[[bytes], Any], noise: bytes) -> None:
    try:
        read(noise)
    except ArtifactInvalid:
        return
    assert read is formats.read_json  # short noise such as b"1" is JSON


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_damaged_tables_are_refused_or_read(data: st.DataObject) -> None:
    whole = formats.write_index(INDEX, INDEX_METADATA)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ArtifactInvalid):
        formats.read_index(whole[:cut])
    damaged = bytearray(whole)
    damaged[cut] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ArtifactInvalid):
        formats.read_index(bytes(damaged))


def test_arrays_come_back(tmp_path: Path) -> None:
    for array in (np.arange(6, dtype=np.float16).reshape(2, 3), np.empty((0, 4), np.uint16), np.arange(9)[::3]):
        path = tmp_path / "a.npy"
        path.write_bytes(formats.write_array(array))
        for loaded in (
            formats.read_array(path.read_bytes()),
            formats.read_array(path),
            formats.read_array(path, mmap=array.size > 0),
        ):
            assert loaded.dtype == array.dtype
            assert np.array_equal(loaded, array)
    assert isinstance(formats.read_array(path, mmap=True), np.memmap)


def test_pickles_and_archives_are_no_arrays(tmp_path: Path) -> None:
    pickled, archive = io.BytesIO(), io.BytesIO()
    np.save(pickled, np.array([object()]), allow_pickle=True)
    np.savez(archive, a=np.zeros(2))
    huge = formats.write_array(np.zeros(4)).replace(b"(4,)", b"(9,)")
    for content in (pickled.getvalue(), archive.getvalue(), huge, huge[:20], b""):
        (tmp_path / "x.npy").write_bytes(content)
        for source in (content, tmp_path / "x.npy"):
            with pytest.raises(ArtifactInvalid):
                formats.read_array(source)
    with pytest.raises(ArtifactInvalid):
        formats.read_array(tmp_path / "x.npy", mmap=True)


def test_json_is_canonical_and_strict() -> None:
    assert formats.write_json({"b": 1, "a": [None, "ü"]}) == b'{"a":[null,"\\u00fc"],"b":1}'
    assert formats.read_json(formats.write_json({"a": 1.5})) == {"a": 1.5}
    with pytest.raises(ValueError):
        formats.write_json(float("inf"))


def test_outlines_come_back_in_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("morula.common.outlines._BATCH_ROWS", 4)
    rings = [np.array([(0, 0), (number, 0), (number, 2.25)]) + 100.0 for number in range(1, 11)]
    x_px, y_px = [ring[:, 0].mean() for ring in rings], [ring[:, 1].mean() for ring in rings]
    encoded = [formats.encode_outline(*place) for place in zip(rings, x_px, y_px, strict=True)]
    path = tmp_path / "outlines.arrow"
    path.write_bytes(formats.write_outlines(x_px, y_px, encoded, {5: encoded[:2]}))
    for source in (path, path.read_bytes()):
        part = formats.read_outlines(source, 3, 9)
        assert part["x_px"].to_pylist() == x_px[3:9]
        for number, outline in enumerate(part["outline"].to_pylist(), start=3):
            ring = formats.decode_outline(outline, x_px[number], y_px[number])
            assert np.abs(ring - rings[number]).max() <= 0.125
        together = pa.concat_arrays(part["outline"].chunks)
        vertices, of_ring = formats.decode_outlines(together, part["x_px"].to_numpy(), part["y_px"].to_numpy())
        assert np.abs(vertices - np.concatenate(rings[3:9])).max() <= 0.125
        assert of_ring.tolist() == np.repeat(np.arange(6), 3).tolist()
        assert part["holes"].to_pylist() == [None, None, [one.tolist() for one in encoded[:2]], None, None, None]
        assert formats.read_outlines(source).num_rows == 10
        assert formats.read_outlines(source, 8).num_rows == 2
        assert formats.read_outlines(source, 10, 20).num_rows == 0
        with pytest.raises(InvalidArgument):
            formats.read_outlines(source, 5, 4)
    with pytest.raises(ArtifactInvalid):
        formats.read_outlines(path.read_bytes()[:-40])


def test_an_outline_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        formats.encode_outline(np.array([(0, 0), (9000, 0)]), 0, 0)
    assert len(formats.read_outlines(formats.write_outlines([], [], [], {}))) == 0
