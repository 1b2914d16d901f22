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
