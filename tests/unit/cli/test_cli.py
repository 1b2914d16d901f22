"""The command says what is wrong in one line and exits with what the reader can act on."""

import json
import sys
from pathlib import Path

import pytest

from morula.cli import main as cli
from morula.cli.printing import console


def morula(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["morula", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nonsense"], 2, "nonsense"),
        (["run"], 2, "Missing argument"),
        (["run", "no.svs", "--out", "o"], 3, "no.svs is not there"),
        (["run", __file__, "--out", "o", "--segmenter", "magic"], 2, "there are: imported, morula-nuclei, watershed"),
        (["run", __file__, "--out", "o", "--preset", "paper"], 2, "morula models add resnet50 FILE"),
        (["run", __file__, "--out", "o", "--eps", "0.5"], 2, "or choose the preset 'paper'"),
        (["run", __file__, "--out", "o", "--mpp", "-1"], 2, "--mpp"),
        (["run", __file__, "--out", "o", "--slide-mpp", "21"], 2, "--slide-mpp"),
        (["run", __file__, "--out", f"{__file__}/o"], 2, f"cannot write to {__file__}/o"),
        (["synth", "x.png"], 2, "morula: the slide's name must end in .tiff"),
        (["synth", "x.tiff", "--mpp", "7"], 2, "morula: mpp must be one of"),
        (["synth", "nowhere/x.tiff"], 2, "morula: no such folder: nowhere"),
        (["bench", "tiler", "--cells", "60000"], 2, "--cells belongs to clusterer and metrics"),
        (["bench", "tiler", "--with", "evoc"], 2, "--with belongs to quality"),
        (["bench", "quality", "--with", "magic"], 2, "there are: evoc, plscan, leiden"),
        (["bench", "speed"], 2, "there are: pipeline, labelling"),
        (["serve", "--port", "99999999"], 2, "--port"),
        (["serve", "--folder", "lab=nowhere"], 2, "nowhere cannot be read as a folder"),
        (["serve", "--folder", f"lab={__file__}"], 2, "cannot be read as a folder"),
        (["serve", "--folder", "a/b=."], 2, "write NAME=PATH"),
        (["serve", "--folder", "."], 2, "write NAME=PATH"),
        (["serve", "--folder", "lab=.", "--folder", "lab=/"], 2, "there is a folder lab already"),
    ],
)
def test_errors(
    words: list[str], code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert morula(monkeypatch, *words) == code
    written = capsys.readouterr()
    assert says in written.err
    assert written.err.count("\n") == 1
    assert not written.out


def test_debug_shows_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["morula", "run", "no.svs", "--out", "o", "--debug"])
    with pytest.raises(Exception, match=r"no\.svs is not there"):
        cli.main()


def test_models_for_machines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert morula(monkeypatch, "models", "--json") == 0
    assert {"watershed", "morphology"} <= {row["name"] for row in json.loads(capsys.readouterr().out)["models"]}


def test_doctor_fails_where_something_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert morula(monkeypatch, "doctor", "--json", "--data", str(tmp_path / "file" / "below")) == 1
    written = capsys.readouterr()
    findings = {finding["name"]: finding["ok"] for finding in json.loads(written.out)["findings"]}
    assert findings["python"]
    assert not findings["data folder"]
    assert "data folder" in written.err


def test_progress_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("run [/b] of [red]somebody", style="yellow")
    assert capsys.readouterr().err == "run [/b] of [red]somebody\n"
