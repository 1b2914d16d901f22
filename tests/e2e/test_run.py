"""`morula run` as a person calls it: a process, its exit code, its files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from morula.demo.flow import last_state
from morula.onebox.client import Client
from morula.onebox.machine import SERVICES, LocalMachine
from tests.e2e.conftest import Paint, write_blank

FILES = {"tiles.parquet", "cells.parquet", "assignments.parquet", "clusters.json", "cells.geojson.gz", "manifest.json"}
PATIENCE_S = 300
MORULA = (sys.executable, "-m", "morula.cli")
CLASSICAL = ("--segmenter", "watershed")
"""Its segmenter needs no network, so it ends in seconds."""


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MORULA, *map(str, words)], capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@pytest.mark.slow
def test_run_leaves_its_files_and_a_second_run_finishes_at_once(paint: Paint, tmp_path: Path) -> None:
    slide, out, data = paint(1024, 1024, 770_020).slide, tmp_path / "out", tmp_path / "data"
    first = run("run", slide, *CLASSICAL, "--out", out, "--data", data, "--json")
    assert first.returncode == 0, first.stderr
    assert {path.name for path in out.iterdir()} == FILES
    cells = pq.read_table(out / "cells.parquet")
    assert {"cell_id", "x_px", "y_px", "geometry", "score", "state"} <= set(cells.column_names)
    told = json.loads(first.stdout)
    assert cells.num_rows == told["cell_count"] > 100
    assert told["board"] == f"morula serve --data {data}, then its address with /#/board/{told['labelling_id']}"
    assignments = pq.read_table(out / "assignments.parquet")
    assert {"cell_id", "cluster_id", "confidence"} <= set(assignments.column_names)
    assert assignments["cell_id"] == cells["cell_id"]

    stamps = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    second = run("run", slide, *CLASSICAL, "--out", out, "--data", data)
    assert (second.returncode, second.stdout.split(":")[0]) == (0, "Nothing to do")
    assert f"/#/board/{told['labelling_id']}" in second.stdout
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == stamps


def test_an_unreadable_slide_exits_3_and_leaves_nothing(machine: LocalMachine, tmp_path: Path) -> None:
    (tmp_path / "noise.svs").write_bytes(b"no slide at all")
    ended = run("run", tmp_path / "noise.svs", "--out", tmp_path / "out", "--data", machine.folder.root)
    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_slide_without_a_scale_is_asked_for_in_words_of_the_command(machine: LocalMachine, tmp_path: Path) -> None:
    slide = write_blank(tmp_path / "no-scale.tiff", 512, mpp=None)
    words = ("run", slide, "--out", tmp_path / "out", "--data", machine.folder.root)
    ended = run(*words)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert f"{slide} does not say" in ended.stderr
    assert "--slide-mpp 0.25" in ended.stderr
    assert not (tmp_path / "out").exists()
    assert run(*words, "--slide-mpp", "0.25").returncode == 0


def test_run_submits_to_the_serve_that_has_the_folder(machine: LocalMachine, client: Client, tmp_path: Path) -> None:
    white = write_blank(tmp_path / "white.tiff", 1024, mpp=0.5)
    ended = run("run", white, "--out", tmp_path / "out", "--data", machine.folder.root)
    assert ended.returncode == 0, ended.stderr
    assert "No tissue" in ended.stdout
    assert (tmp_path / "out" / "manifest.json").exists()
    assert "white.tiff" in {slide["name"] for slide in client.get("/v1/slides")["slides"]}


def test_of_a_folder_every_slide_is_run_and_none_hides_another(machine: LocalMachine, tmp_path: Path) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    (scans / "deep").mkdir(parents=True)
    write_blank(scans / "a.tiff", 512, mpp=0.5)
    write_blank(scans / "deep" / "b.tiff", 768, mpp=0.5)
    (scans / "noise.svs").write_bytes(b"no slide at all")
    (scans / "notes.txt").write_bytes(b"of the person who scanned these")
    ended = run("run", scans, "--out", out, "--data", machine.folder.root, "--json")
    assert ended.returncode == 1
    assert f"belongs to no slide: {scans}/notes.txt" in ended.stderr
    assert f"1 of 3 slides failed, the first is {scans}/noise.svs" in ended.stderr
    found = json.loads(ended.stdout)
    assert [Path(one["out"]).relative_to(out).as_posix() for one in found["slides"]] == ["a.tiff", "deep/b.tiff"]
    assert {path.relative_to(out).parent.as_posix() for path in out.rglob("manifest.json")} == {"a.tiff", "deep/b.tiff"}


@pytest.mark.slow
def test_slides_are_clustered_together_and_how_they_mix_is_said(
    machine: LocalMachine, paint: Paint, tmp_path: Path
) -> None:
    slides, out = [paint(1024, 1024, seed).slide for seed in (770_020, 770_021)], tmp_path / "out"
    words = ("run", *slides, *CLASSICAL, "--together", "--out", out, "--data", machine.folder.root)
    first = run(*words, "--json")
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    cohort = told["together"]
    assert cohort["cell_count"] == sum(one["cell_count"] for one in told["slides"])
    assert 0.5 < cohort["mixing"]["score"] < 1.2
    assert {path.name for path in out.iterdir() if path.is_file()} == {
        "assignments.parquet",
        "clusters.json",
        "manifest.json",
    }
    assert all({path.name for path in (out / slide.name).iterdir()} == FILES for slide in slides)
    ids = [pq.read_table(Path(one["out"]) / "cells.parquet")["cell_id"].to_pylist() for one in told["slides"]]
    assert pq.read_table(out / "assignments.parquet")["cell_id"].to_pylist() == [*ids[0], *ids[1]]
    again = run(*words)
    assert again.stdout.count("Nothing to do") == 2
    assert "1 is as by chance" in again.stdout
    assert f"/#/board/{cohort['labelling_id']}" in again.stdout


def test_two_slides_of_one_name_are_not_written_over_each_other(machine: LocalMachine, tmp_path: Path) -> None:
    slides = [tmp_path / folder / "a.tiff" for folder in ("one", "two")]
    for slide in slides:
        slide.parent.mkdir()
        write_blank(slide, 512, mpp=0.5)
    ended = run("run", *slides, "--out", tmp_path / "out", "--data", machine.folder.root)
    assert ended.returncode == 2
    assert "would both be written to" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_serve_keeps_its_folder_to_itself_and_stops_cleanly(tmp_path: Path) -> None:
    words = [*MORULA, "serve", "--no-open", "--data", str(tmp_path), "--folder", f"lab={tmp_path}"]
    write_blank(tmp_path / "white.tiff", 512, mpp=0.5)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        assert greeting.startswith("Morula is at http://127.0.0.1:")
        with Client(greeting.split()[3]) as client:
            assert client.post("/v1/slides", {"path": "lab/white.tiff"})["width_px"] == 512
        second = run("serve", "--no-open", "--data", tmp_path)
        assert (second.returncode, "is in use by morula serve" in second.stderr) == (1, True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0
        assert process.stdout.read() == "Stopped.\n"


@pytest.mark.slow
def test_ctrl_c_cancels_the_job_and_leaves_nothing(
    machine: LocalMachine, client: Client, paint: Paint, tmp_path: Path
) -> None:
    slide = paint(2048, 2048, 770_021).slide
    words = [*MORULA, "run", str(slide), "--out", str(tmp_path / "out"), "--data", str(machine.folder.root)]
    with hearing_ctrl_c():
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    with process:
        job_id = _begun(client, slide.name)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 1
        assert process.stderr is not None
        assert process.stderr.read() == "morula: stopped\n"
    assert last_state(client.watch(job_id))["state"] == "cancelled"
    assert not (tmp_path / "out").exists()


@contextmanager
def hearing_ctrl_c() -> Iterator[None]:
    """What starts here hears it, also where a shell that runs the tests in the background had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _begun(client: Client, slide_name: str) -> str:
    """Waits until the job of this slide is planned, so that who asked for it knows that it runs; its id."""
    with httpx.stream("GET", f"{client.url}/v1/events", timeout=PATIENCE_S) as events:
        for _ in events.iter_lines():
            for job in client.get("/v1/jobs")["jobs"]:
                planned = any(stage["stage"] == "plan" and stage["done_count"] for stage in job["stages"])
                if job["slide_name"] == slide_name and planned:
                    return str(job["id"])
    pytest.fail("the job never began")


def test_numbers_of_every_program_are_where_the_folder_says(machine: LocalMachine) -> None:
    found = {
        group["labels"]["service"]: httpx.get(f"http://{group['targets'][0]}/metrics", trust_env=False).text
        for group in json.loads(machine.folder.metrics.read_text())
    }
    assert "morula_http_requests_in_flight 1.0" in found.pop("gateway")
    assert found.keys() == SERVICES.keys()
    assert all("# TYPE morula_rpc_duration_seconds histogram" in numbers for numbers in found.values())
