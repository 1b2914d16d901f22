"""What `make` passes on to the command."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from morula.bench import cohort
from morula.onebox.failures import Failure

ROOT = Path(__file__).resolve().parents[3]
INHERITED = {"PORT", "DATA", "MORULA_DATA", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"}


def made(*words: str) -> list[str]:
    """What make says with the command replaced by `echo`, and nothing set up."""
    plain = {name: value for name, value in os.environ.items() if name not in INHERITED}
    ended = subprocess.run(
        ["make", "-s", "-o", "setup", "morula=echo", *words],
        cwd=ROOT, env=plain, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ended.stdout.splitlines()


def test_a_port_is_passed_only_where_it_was_named() -> None:
    assert made("serve") == ["serve"]
    assert made("serve", "PORT=9000", "DATA=a b") == ["serve --port 9000 --data a b"]


def test_labelling_is_measured_where_its_data_is(tmp_path: Path) -> None:
    printed = made("bench", f"MORULA_DATA={tmp_path}")
    assert printed[0] == "bench pipeline"
    assert printed[1].startswith(f"Labelling is not measured: there is no {tmp_path}/brca_m2c")
    (tmp_path / "brca_m2c").mkdir()
    assert made("bench", f"MORULA_DATA={tmp_path}") == ["bench pipeline", "bench labelling", "bench tiler"]


def test_places_do_not_depend_on_where_the_command_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cohort.CACHE == ROOT / "build" / "bench"
    monkeypatch.setenv("MORULA_DATA", str(tmp_path))
    with pytest.raises(Failure, match=f"{tmp_path}/brca_m2c is not there"):
        cohort.load()
