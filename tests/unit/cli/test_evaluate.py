"""`morula evaluate`: two tables in, a report and its numbers out, and one line where they cannot be."""

from __future__ import annotations

import csv
import json
import re
import sys
import uuid
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from morula.cli import main as cli
from morula.evaluator.core import Wanted
from morula.onebox.evaluating import Request, run
from tests.contract import described

COUNT = 1200
HOSTILE = "<script>alert(1)</script>"
NAMES = ("tumour", "stroma", HOSTILE)


def morula(*words: object) -> int:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["morula", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


def write_assignments(path: Path, **columns: object) -> Path:
    rng = np.random.default_rng(0)
    kind = np.arange(COUNT) % 3
    cluster = np.where(rng.random(COUNT) < 0.9, kind + 1, rng.integers(0, 4, COUNT))
    made = {
        "row": pa.array(range(COUNT), pa.int64()),
        "cluster_id": pa.array(cluster, pa.int32()),
        "confidence": rng.random(COUNT),
    }
    chosen = {name: column for name, column in (made | columns).items() if column is not None}
    pq.write_table(pa.table(chosen), path)
    return path


def truth_rows() -> list[dict[str, Any]]:
    return [
        {
            "row": row,
            "class": NAMES[row % 3],
            "tile": row // 4 % 5,
            "slide": f"s{row % 4}",
            "batch": row % 2,
            "tissue": "skin",
            "species": "mouse",
        }
        for row in range(COUNT)
    ]


def write_truth(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]) if rows else ["row", "class"])
        table.writeheader()
        table.writerows(rows)
    return path


def evaluated(folder: Path, rows: list[dict[str, Any]], *words: object, **columns: object) -> dict[str, Any]:
    out = folder / "out"
    assignments = write_assignments(folder / "a.parquet", **columns)
    assert morula("evaluate", assignments, "--truth", write_truth(folder / "t.csv", rows), "--out", out, *words) == 0
    assert sorted(path.name for path in out.iterdir()) == ["evaluation.json", "report.html"]
    found: dict[str, Any] = json.loads((out / "evaluation.json").read_text())
    return found


def test_a_report_and_its_numbers_are_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = evaluated(tmp_path, truth_rows(), "--json", "--against", tmp_path / "a.parquet")
    assert json.loads(capsys.readouterr().out) == found
    assert found["match_rate"] == 1.0
    assert {"accuracy", "tiles", "batches", "confusion"} <= found["paper"].keys()
    assert len(found["paper"]["tiles"]) == 20
    assert found["honest"]["accuracy"].keys() == {"value", "low", "high", "n"}
    assert found["honest"]["interval"]["over"] == "slides"
    known = described.described_columns()["evaluation.json of morula evaluate and of the API"]
    # Of several annotators, and of the API alone.
    others = ("agreement", "match.how", "of.slides", "of.measured", "named")
    known = {name: kind for name, kind in known.items() if name not in others}
    assert described.of_json((tmp_path / "out" / "evaluation.json").read_bytes(), known) == known


class Seen(HTMLParser):
    """What a browser would load, run or read."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in ("h1", "h2") and data.strip():
            self.headings.append(data.strip())


def test_the_report_needs_nothing_else_and_says_the_honest_table_first(tmp_path: Path) -> None:
    evaluated(tmp_path, truth_rows())
    text = (tmp_path / "out" / "report.html").read_text()
    seen = Seen()
    seen.feed(text)
    assert not {"script", "link", "img", "iframe", "form"} & set(seen.tags)
    assert not seen.links
    assert not re.search(r"https?:|url\(|@import", text)
    assert seen.headings.index("Honest numbers, beside what costs nothing") < seen.headings.index("As published")
    assert seen.tags.count("svg") == 4
    assert "one cluster for all" in text


def test_ids_that_went_wrong_are_named_and_counted(tmp_path: Path) -> None:
    rows = truth_rows()[100:]
    rows += [{**rows[0], "row": 9000}, {**rows[0], "row": 9001}, rows[0], {**rows[1], "class": "stroma"}]
    rows += [{**rows[0], "row": 5, "class": ""}]
    found = evaluated(tmp_path, rows)
    assert found["match"] == {
        "by": "row",
        "truth_count": 1102,
        "matched_count": 1100,
        "missing": {"count": 100, "first": [str(row) for row in range(20)]},
        "foreign": {"count": 2, "first": ["9000", "9001"]},
        "doubled": {"count": 2, "first": ["100", "101"]},
    }
    assert found["match_rate"] == pytest.approx(1100 / 1102, abs=1e-6)
    assert found["paper"]["n_cells"] == 1102


def test_cells_are_matched_by_their_ids_and_columns_that_are_not_known_may_be_missing(tmp_path: Path) -> None:
    ids = [str(uuid.UUID(int=row << 64)) for row in range(2 * COUNT)]
    # UUIDs have no case; other words have one.
    other = [{"cell_id": name, "class": "stroma", "badly_segmented": ""} for name in (ids[-1].upper(), "A", "a")]
    rows = [
        {"cell_id": ids[row].upper(), "class": NAMES[row % 3], "badly_segmented": str(row < 100).lower()}
        for row in range(COUNT)
    ]
    # As pandas writes words that come again and again.
    columns = {"cell_id": pa.array(ids[:COUNT]).dictionary_encode(), "row": None, "confidence": None}
    found = evaluated(tmp_path, rows + other, "--leave-out-badly-segmented", **columns)
    assert (found["match"]["by"], found["match"]["matched_count"]) == ("cell_id", COUNT - 100)
    assert found["match"]["foreign"] == {"count": 3, "first": [ids[-1], "A", "a"]}
    assert found["remarks"][0].startswith("100 rows of the truth are of badly segmented cells")
    assert found["honest"]["accuracy"]["low"] is None
    assert "coverage" not in found["honest"]


def test_annotators_of_the_same_cells_are_compared_with_each_other(tmp_path: Path) -> None:
    rows = [{**row, "annotator": "a"} for row in truth_rows()]
    rows += [{**row, "annotator": "b", "class": NAMES[0] if row["row"] % 6 == 1 else row["class"]} for row in rows]
    found = evaluated(tmp_path, rows)
    assert found["agreement"]["several_count"] == COUNT
    assert found["agreement"]["cohen"][0]["agreement"]["value"] == pytest.approx(5 / 6, abs=1e-6)
    assert found["honest"]["accuracy"]["n"] == COUNT * 5 // 6
    assert "How far annotators agree" in (tmp_path / "out" / "report.html").read_text()


def test_vectors_and_measures_beside_the_assignments_are_a_ceiling_and_a_baseline(tmp_path: Path) -> None:
    vectors = np.eye(3)[np.arange(COUNT) % 3] + np.random.default_rng(1).normal(0, 0.1, (COUNT, 3))
    np.save(tmp_path / "v.npy", vectors)
    words = ("--vectors", tmp_path / "v.npy", "--morphology", tmp_path / "v.npy")
    found = evaluated(tmp_path, truth_rows()[300:], *words)
    assert found["honest"]["ceiling"]["accuracy"]["value"] == 1.0
    assert found["honest"]["baselines"]["morphology"]["accuracy"]["value"] > 0.99


def test_ten_thousand_clusters_and_two_hundred_classes_are_evaluated(tmp_path: Path) -> None:
    clusters = pa.array(1 + np.arange(COUNT) * 7919 % 10_000, pa.int32())
    rows = [{**row, "class": f"kind {row['row'] % 200}"} for row in truth_rows()]
    assignments = write_assignments(tmp_path / "a.parquet", cluster_id=clusters)
    few_draws = Request(assignments, write_truth(tmp_path / "t.csv", rows), tmp_path / "out", wanted=Wanted(draws=40))
    assert len(run(few_draws)["honest"]["confusion"]["labels"]) == 200
    assert "the 40 largest of 200 classes" in (tmp_path / "out" / "report.html").read_text()


def test_two_clusterings_are_compared_on_the_same_draws(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    chance = pa.array(rng.integers(1, 4, COUNT - 10), pa.int32())
    other = write_assignments(
        tmp_path / "b.parquet", cluster_id=chance, row=pa.array(range(COUNT - 10)), confidence=None
    )
    found = evaluated(tmp_path, truth_rows(), "--against", other)["comparison"]
    assert (found["with"], found["cell_count"], found["left_out_count"]) == ("b.parquet", COUNT - 10, 10)
    for name, number in found["difference"].items():
        if name != "completeness":
            assert 0 < number["low"] <= number["value"] <= number["high"], name
    same = evaluated(tmp_path, truth_rows(), "--against", tmp_path / "a.parquet")["comparison"]
    assert {(one["low"], one["high"]) for one in same["difference"].values()} == {(0, 0)}
    assert "not told apart" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("none", "confidence", "noise_count", "words"),
    [
        (-1, 0.5, COUNT // 4, ()),
        (-1, None, COUNT // 4, ()),
        (0, 0.0, COUNT // 4, ()),  # as Morula writes it
        (0, 0.5, 0, ()),
        (0, None, 0, ()),
        (0, 0.5, COUNT // 4, ("--noise", 0)),
    ],
)
def test_which_cells_are_in_no_cluster_is_told_from_the_table_or_said(
    none: int, confidence: float | None, noise_count: int, words: tuple[object, ...], tmp_path: Path
) -> None:
    cluster = np.where(np.arange(COUNT) % 4, np.arange(COUNT) % 3 + 1, none)
    sure = None if confidence is None else np.where(cluster == none, confidence, 0.9)
    found = evaluated(tmp_path, truth_rows(), *words, cluster_id=pa.array(cluster), confidence=sure)
    assert found["honest"]["noise"]["cell_count"] == noise_count


@pytest.mark.parametrize(
    ("change", "columns", "words"),
    [
        (lambda _: [], {}, "the truth has no cells"),
        (lambda rows: [{**row, "row": row["row"] + 90_000} for row in rows], {}, "truth of another slide"),
        (lambda rows: [{**row, "class": "tumour"} for row in rows], {}, "of one class, 'tumour'"),
        (lambda rows: [{**row, "row": "x"} for row in rows], {}, "no whole number, such as 'x'"),
        (lambda rows: [{"row": row["row"], "kind": "a"} for row in rows], {}, "needs the columns 'class'"),
        (lambda rows: [{"cell_id": "a", "class": "b"} for _ in rows], {}, "a column in common"),
        (lambda rows: rows, {"confidence": np.full(COUNT, np.nan)}, "confidence of 1,200 cells is no number"),
        (lambda rows: rows, {"cluster_id": pa.array([1, -7] * (COUNT // 2))}, "--noise -7"),
        (lambda rows: rows, {"cluster_id": None}, "needs the columns cluster_id"),
        (lambda rows: rows, {"cluster_id": pa.array([2**64 - 1] * COUNT, pa.uint64())}, "cluster_id has to be a whole"),
        (lambda rows: rows, {"confidence": ["sure"] * COUNT}, "confidence has to be a number in every row"),
        (lambda rows: rows, {"row": pa.array([0.5] * COUNT)}, "is double: it has to be whole numbers or text"),
        (lambda rows: rows, {"row": pa.array([None, *range(COUNT - 1)])}, "is missing in 1 rows"),
        (lambda rows: rows, {"row": pa.array([0, *range(COUNT - 1)])}, "assigned more than once"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    change: Any, columns: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assignments = write_assignments(tmp_path / "a.parquet", **columns)
    truth = write_truth(tmp_path / "t.csv", change(truth_rows()))
    assert morula("evaluate", assignments, "--truth", truth, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_flags_that_the_truth_does_not_have_and_a_folder_that_cannot_be_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = write_truth(tmp_path / "t.csv", truth_rows())
    words = ("--truth", truth, "--out", tmp_path / "out", "--leave-out-badly-segmented")
    assert morula("evaluate", write_assignments(tmp_path / "a.parquet"), *words) == 2
    assert "it has no 'badly_segmented'" in capsys.readouterr().err
    # No row has a class.
    write_truth(truth, [{"row": 1, "class": "", "badly_segmented": "true"}])
    assert morula("evaluate", tmp_path / "a.parquet", *words) == 2
    assert capsys.readouterr().err.count("\n") == 1
    # Before anything is read.
    assert morula("evaluate", tmp_path / "none", "--truth", truth, "--out", truth) == 2
    assert "choose another folder with --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe\x00", b"row,class\n1\n1,2,3\n", b"row,class,row\n1,a,1\n", b"\0" * 99]
)
def test_what_is_no_table_is_one_line(data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    assignments = write_assignments(tmp_path / "a.parquet")
    assert morula("evaluate", assignments, "--truth", tmp_path / "t.csv", "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.count("\n") == 1
