"""Cells that came with their slide: nobody wrote the file whom one would have to trust."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from morula.common import imported
from morula.common.errors import ArtifactInvalid
from morula.common.parquet_pages import unpacked_bytes

SQUARE = imported.pack(np.ones((10, 10), bool))


def write(path: Path, count: int = 20, group: int = imported.ROW_GROUP_ROWS, **other: Any) -> Path:
    """Squares in rows of five, 40 px apart."""
    number = np.arange(count)
    columns = {
        "x_px": number % 5 * 40, "y_px": number // 5 * 40, "width_px": [10] * count, "height_px": [10] * count,
        "mask": [SQUARE] * count, "cluster": number % 3, "confidence": [0.5] * count, "class": ["a"] * count,
        "tile": ["t"] * count, "label": number, "number": number,
    } | other  # fmt: skip
    table = pa.table([pa.array(columns[field.name], field.type) for field in imported.SCHEMA], schema=imported.SCHEMA)
    pq.write_table(table, path, compression="zstd", row_group_size=group)
    return path


def test_a_region_has_its_cells_from_the_groups_in_which_they_lie(tmp_path: Path) -> None:
    with imported.opened(write(tmp_path / "a.parquet", group=3), 200, 160) as cells:
        found = cells.painted(75, 35, 60, 60)
    assert found.rows.tolist() == [7, 8, 12, 13]
    assert found.clusters.tolist() == [1, 2, 0, 1]
    assert [np.count_nonzero(found.labels == label) for label in range(1, 5)] == [100] * 4
    assert found.labels[5:15, 5:15].min() == found.labels[5:15, 5:15].max() == 1


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"cluster": [-5] * 20}, "cluster -5"),
        ({"confidence": [float("nan")] * 20}, "not between 0 and 1"),
        ({"x_px": [2**63 - 1] * 20}, "nowhere on a slide"),
        ({"y_px": [10_000] * 20}, "nowhere on a slide of 10000 x 10000 px"),
        ({"width_px": [0] * 20}, "nowhere on a slide"),
        ({"width_px": [2**31 - 1] * 20, "height_px": [2**31 - 1] * 20}, "nowhere on a slide"),
        ({"mask": [b""] * 20}, "has 0 bytes"),
    ],
)
def test_a_cell_that_is_none_is_refused(tmp_path: Path, other: dict[str, Any], words: str) -> None:
    path = write(tmp_path / "a.parquet", **other)
    with pytest.raises(ArtifactInvalid, match=words), imported.opened(path, 10_000, 10_000) as cells:
        cells.painted(0, 0, 200, 200)


def test_what_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """Masks of a gigabyte in all, packed into some kilobytes, over each other and beside each other."""
    whole = imported.pack(np.ones((4096, 4096), bool))
    count = 500
    size: dict[str, Any] = {"width_px": [4096] * count, "height_px": [4096] * count}
    masks = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([whole], pa.binary()))
    apart = {"x_px": np.arange(count) % 100 * 5000, "y_px": np.arange(count) // 100 * 5000}
    for name, place in (("over", {"x_px": [0] * count, "y_px": [0] * count}), ("beside", apart)):
        path = tmp_path / f"{name}.parquet"
        write(path, count, **size, **place, mask=[b""] * count)
        table = pq.read_table(path)
        pq.write_table(table.set_column(4, "mask", masks), path, compression="zstd")
        assert path.stat().st_size < 100_000
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    try:
        with (
            imported.opened(tmp_path / "over.parquet", 10**6, 10**6) as cells,
            pytest.raises(ArtifactInvalid, match="any tissue"),
        ):
            cells.painted(0, 0, 2048, 2048)
        with imported.opened(tmp_path / "beside.parquet", 10**6, 10**6) as cells:
            assert cells.painted(0, 0, 6000, 6000).rows.tolist() == [0, 1, 100, 101]
    finally:
        pa.set_memory_pool(before)
    assert 0 < (pool.max_memory() or 0) < 2**26


def _varint(word: int, length: int) -> bytes:
    """A number of Thrift's compact form, filled up to so many bytes."""
    parts = [word >> 7 * place & 127 for place in range(length)]
    return bytes([*(part | 128 for part in parts[:-1]), parts[-1]])


def test_a_footer_that_lies_about_its_size_is_not_believed(tmp_path: Path) -> None:
    """Different masks of 400 MB in some kilobytes, of which the footer says that they are 1000 bytes."""
    count = 200
    masks = [bytes(number) + b"\1" + bytes(2**21 - number - 1) for number in range(count)]
    columns = {"x_px": np.arange(count) * 5000, "y_px": [0] * count, "mask": masks}
    path = write(tmp_path / "a.parquet", count, width_px=[4096] * count, height_px=[4096] * count, **columns)
    table = pq.read_table(path)
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)
    said = pq.read_metadata(path).row_group(0).total_byte_size
    content, true = path.read_bytes(), _varint(said << 1, 5)
    begins = content.rindex(true)
    path.write_bytes(content[:begins] + _varint(1000 << 1, 5) + content[begins + 5 :])
    assert pq.read_metadata(path).row_group(0).total_byte_size == 1000
    assert path.stat().st_size < 200_000
    with pytest.raises(ArtifactInvalid, match="more than 256 MiB"), imported.opened(path, 10**7, 10**7):
        pass


def test_masks_that_repeat_the_one_before_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet")
    pq.write_table(pq.read_table(path), path, use_dictionary=False, column_encoding={"mask": "DELTA_BYTE_ARRAY"})
    with pytest.raises(ArtifactInvalid, match="column mask is encoded"), imported.opened(path, 200, 200):
        pass


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd"])
def test_pages_are_counted_as_they_are(tmp_path: Path, version: Any, compression: Any) -> None:
    path = write(tmp_path / "a.parquet", 10_000, x_px=np.arange(10_000))
    options = {"compression": compression, "data_page_version": version, "data_page_size": 4096}
    pq.write_table(pq.read_table(path), path, **options)
    group = pq.read_metadata(path).row_group(0)
    with path.open("rb") as file:
        pages = [unpacked_bytes(file, group.column(number)) for number in range(group.num_columns)]
    footer = [group.column(number).total_uncompressed_size for number in range(group.num_columns)]
    # What the footer counts besides are the headers of the pages.
    assert all(0 < page <= said <= page + 100_000 for page, said in zip(pages, footer, strict=True))


@pytest.mark.parametrize(
    ("header", "words"),
    [(b"\x1c" * 5000, "without an end"), (b"\x15" + b"\xff" * 40, "without an end"), (b"\x15", "ends too early")],
)
def test_headers_of_pages_that_are_none_are_refused(tmp_path: Path, header: bytes, words: str) -> None:
    path = write(tmp_path / "a.parquet", 2000, x_px=np.arange(2000), y_px=[0] * 2000)
    at = pq.read_metadata(path).row_group(0).column(0).dictionary_page_offset
    content = path.read_bytes()
    path.write_bytes(content[:at] + header + content[at + len(header) :] if len(header) > 1 else content[:at] + header)
    chunk = pq.read_metadata(write(tmp_path / "b.parquet", 2000, x_px=np.arange(2000), y_px=[0] * 2000)).row_group(0)
    with path.open("rb") as file, pytest.raises(ArtifactInvalid, match=words):
        unpacked_bytes(file, chunk.column(0))
