"""`morula cluster`: files in, two files out, and one line where it cannot be."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from morula.cli import main as cli
from tests.contract import described
from tests.unit.clusterer.clouds import kinds


def morula(*words: object) -> int:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["morula", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


def clustered(source: Path, *words: object) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    out = source.parent / "out"
    assert morula("cluster", source, "--out", out, *words) == 0
    assert sorted(path.name for path in out.iterdir()) == ["assignments.parquet", "clusters.json"]
    return pq.read_table(out / "assignments.parquet").to_pydict(), json.loads((out / "clusters.json").read_text())


ROWS = kinds(300)[0].astype(np.float32)


def write_npy(path: Path) -> None:
    np.save(path, ROWS)


def write_columns(path: Path) -> None:
    named = {f"c{number}": column for number, column in enumerate(ROWS.T)}
    pq.write_table(pa.table({"cell_id": [str(row) for row in range(300)], "row": range(300), **named}), path)


def write_lists(path: Path) -> None:
    pq.write_table(pa.table({"vector": pa.FixedSizeListArray.from_arrays(ROWS.ravel(), 6)}), path)


def write_other_lists(path: Path) -> None:
    """As pandas writes them: nothing says that they are of one length."""
    pq.write_table(
        pa.table({"vector": list(map(list, ROWS)), "outline": [[row] * (row % 3) for row in range(300)]}), path
    )


def write_folder(path: Path) -> None:
    path.mkdir()
    np.save(path / "vectors.npy", ROWS)
    pq.write_table(pa.table({"file": [str(row) for row in range(300)]}), path / "index.parquet")


def write_h5ad(path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["X"] = ROWS


def write_sparse(path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    sparse = importlib.import_module("scipy.sparse").csr_array(ROWS)
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        group.attrs["encoding-type"], group.attrs["shape"] = "csr_matrix", ROWS.shape
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(sparse, name)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("v.npy", write_npy),
        ("a.parquet", write_columns),
        ("b.parquet", write_lists),
        ("c.parquet", write_other_lists),
        ("folder", write_folder),
        ("dense.h5ad", write_h5ad),
        ("sparse.h5ad", write_sparse),
    ],
)
def test_whatever_file_they_come_in_the_clusters_are_the_same(name: str, write: Any, tmp_path: Path) -> None:
    write(tmp_path / name)
    assigned, words = clustered(tmp_path / name, "--clusters", 4, "--seed", 3)
    write_npy(tmp_path / "other.npy")
    expected, _ = clustered(tmp_path / "other.npy", "--clusters", 4, "--seed", 3)
    assert assigned == expected
    assert list(assigned) == ["row", "cluster_id", "confidence"]
    assert assigned["row"] == list(range(300))
    assert (words["preset"], words["cell_count"], len(words["clusters"])) == ("morula", 300, 4)


def test_the_paper_s_preset_says_how_and_where_it_clustered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ROWS[:40].copy()
    rows[7] = np.nan
    np.save(tmp_path / "v.npy", rows)
    assigned, words = clustered(tmp_path / "v.npy", "--preset", "paper")
    assert (words["seed"], words["space"], words["unusable_rows"]) == (42, "unit vectors", [7])
    assert assigned["cluster_id"][7] == 0
    said = capsys.readouterr().err
    assert "not finite are in no cluster: 7" in said
    assert "too few rows for UMAP" in said


@pytest.mark.parametrize("preset", ["morula", "paper"])
def test_the_columns_are_those_that_are_described(preset: str, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", ROWS[:40])
    clustered(tmp_path / "v.npy", "--preset", preset)
    known = described.described_columns()
    assignments, words = (tmp_path / "out" / name for name in ("assignments.parquet", "clusters.json"))
    assert described.of_parquet(assignments.read_bytes()) == known["assignments.parquet of morula cluster"]
    of_paper: set[str] = set() if preset == "paper" else {"algorithm", "eps", "space"}
    expected = {name: kind for name, kind in known["clusters.json of morula cluster"].items() if name not in of_paper}
    assert described.of_json(words.read_bytes(), expected) == expected


def test_a_row_without_a_list_is_in_no_cluster(tmp_path: Path) -> None:
    lists = pa.array([None, *ROWS[1:40].tolist()], pa.list_(pa.float32(), 6))
    pq.write_table(pa.table({"vector": lists}), tmp_path / "v.parquet")
    assigned, words = clustered(tmp_path / "v.parquet")
    assert (words["unusable_rows"], assigned["cluster_id"][0]) == ([0], 0)


def write_pointing_outside(path: Path) -> None:
    """A sparse matrix with an entry in a column that it does not have."""
    write_sparse(path)
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "r+") as file:
        file["X"]["indices"][0] = 99_999_999


def write_header(path: Path, header: bytes) -> None:
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


LARGER_THAN_ANY = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 9)}\n"


def write_external(path: Path) -> None:
    """Its numbers are those of another file, whichever it names."""
    h5py = pytest.importorskip("h5py")
    (path.parent / "other").write_bytes(ROWS.tobytes())
    with h5py.File(path, "w") as file:
        file.create_dataset("X", ROWS.shape, ROWS.dtype, external=[(str(path.parent / "other"), 0, ROWS.nbytes)])


def write_loop(path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["X"] = h5py.SoftLink("/X")


def write_mismatch(path: Path) -> None:
    write_folder(path)
    np.save(path / "vectors.npy", ROWS[:299])


@pytest.mark.parametrize(
    ("name", "write", "words", "code", "says"),
    [
        ("v.npy", lambda path: None, [], 2, "v.npy is not there"),
        ("v.csv", lambda path: path.write_text("1,2"), [], 2, "no table of vectors"),
        ("v.npy", lambda path: path.write_bytes(b"\x93NUMPY"), [], 3, "cannot be read as an .npy array"),
        ("v.npy", lambda path: write_header(path, b"(" * 999), [], 3, "cannot be read as an .npy array"),
        ("v.npy", lambda path: write_header(path, LARGER_THAN_ANY), [], 3, "cannot be read as an .npy array"),
        ("v.npy", lambda path: np.save(path, np.zeros((2, 9000))), [], 2, "9000 columns, more than 8192"),
        ("v.h5ad", write_pointing_outside, [], 3, "cannot be read as .h5ad: indices must be < 6"),
        ("v.h5ad", write_external, [], 2, "keeps its numbers in another file"),
        ("v.h5ad", write_loop, [], 3, "cannot be read as .h5ad"),
        ("v.npy", os.mkfifo, [], 2, "is no file"),
        ("v.npy", lambda path: np.save(path, np.zeros((0, 5))), [], 2, "0 rows and 5 columns"),
        ("v.npy", lambda path: np.save(path, np.zeros(5)), [], 2, "the shape (5,)"),
        ("v.npy", lambda path: np.save(path, np.array([["a"]])), [], 2, "not real numbers"),
        ("v.npy", lambda path: np.save(path, np.full((3, 2), np.inf)), [], 2, "none of the 3 rows"),
        ("v.parquet", lambda path: path.write_bytes(b"PAR1"), [], 3, "cannot be read as Parquet"),
        ("v.parquet", lambda path: pq.write_table(pa.table({"row": [1]}), path), [], 2, "no column of fractions"),
        ("folder", lambda path: path.mkdir(), [], 2, "has no vectors.npy"),
        ("folder", write_mismatch, [], 3, "300 rows and vectors.npy 299"),
        ("v.npy", write_npy, ["--preset", "best"], 2, "there are: morula, paper"),
        ("v.npy", write_npy, ["--clusters", "0"], 2, "--clusters"),
        ("v.npy", write_npy, ["--clusters", "99"], 2, "fewer than 99"),
    ],
)
def test_what_cannot_be_clustered_is_named_and_leaves_nothing(
    name: str, write: Any, words: list[str], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / name)
    assert morula("cluster", tmp_path / name, "--out", tmp_path / "out", *words) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
