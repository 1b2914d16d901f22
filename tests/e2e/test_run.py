"""`morula run` as a person calls it: a process, its exit code, its files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import Paint, write_blank

FILES = {"tiles.parquet", "cells.parquet", "assignments.parquet", "clusters.json", "cells.geojson.gz", "manifest.json"}
MORULA = (sys.executable, "-m", "morula.onebox")


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MORULA, *map(str, words)], capture_output=True, text=True, timeout=300, check=False)


@contextmanager
def serving(data: Path) -> Iterator[str]:
    """The page's address, as the command prints it."""
    words = [*MORULA, "serve", "--no-open", "--data", str(data)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield line.split(" ")[3]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0


@pytest.mark.slow
def test_run_leaves_its_files_and_a_second_run_finishes_at_once(paint: Paint, tmp_path: Path) -> None:
    slide, out, data = paint(1024, 1024, 770_020).slide, tmp_path / "out", tmp_path / "data"
    first = run("run", slide, "--out", out, "--data", data, "--json")
    assert first.returncode == 0, first.stderr
    assert {path.name for path in out.iterdir()} == FILES
    cells = pq.read_table(out / "cells.parquet")
    assert {"cell_id", "x_px", "y_px", "geometry", "score", "state"} <= set(cells.column_names)
    assert cells.num_rows == json.loads(first.stdout)["cell_count"] > 100
    assignments = pq.read_table(out / "assignments.parquet")
    assert {"cell_id", "cluster_id", "confidence"} <= set(assignments.column_names)
    assert assignments["cell_id"] == cells["cell_id"]

    stamps = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    second = run("run", slide, "--out", out, "--data", data)
    assert (second.returncode, second.stdout.split(":")[0]) == (0, "Nothing to do")
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == stamps


def test_an_unreadable_slide_exits_3_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "noise.svs").write_bytes(b"no slide at all")
    ended = run("run", tmp_path / "noise.svs", "--out", tmp_path / "out", "--data", tmp_path / "data")
    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_run_submits_to_the_serve_that_has_the_folder(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    white = write_blank(tmp_path / "white.tiff", 1024, mpp=0.5)
    with serving(data) as url:
        assert url.startswith("http://127.0.0.1:")
        second = run("serve", "--no-open", "--data", data)
        assert (second.returncode, "is in use by morula serve" in second.stderr) == (1, True)
        ended = run("run", white, "--out", out, "--data", data)
        assert ended.returncode == 0, ended.stderr
        assert "No tissue" in ended.stdout
        assert (out / "manifest.json").exists()
