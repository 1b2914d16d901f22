"""A run that travels: what is packed is what would have been learned from, and its phases do not keep each other."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from morula.common.errors import InvalidArgument
from morula.networks import shipped, unet_files
from morula.networks.unet import UNet
from morula.networks.unet_shape import UNetConfig
from morula.training import packing
from morula.training.config import Config, read_config
from morula.training.data import read_source
from tests.networks.training.discs import CONFIG, write_discs

ROOT = Path(__file__).parents[3]
PHASES = ("machine", "train", "finish", "bench", "parity")
# What stands for the interpreter there: each of its phases takes minutes, and `bench` fails.
INTERPRETER = f"""#!/bin/sh
case "$*" in
  *"cli train"*--finish) touch "$6/tiny.md"; head -c 1000 /dev/zero >"$6/tiny.onnx" ;;
  *"cli train"*) sleep 60 ;;
  *"cli bench"*) echo no >&2; exit 3 ;;
  "-m pytest"*) echo "$*" ;;
  -c*torch*) echo a machine ;;
  *) exec {sys.executable} "$@" ;;
esac
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A configuration with words that a file has to quote, and what it became."""
    config = write_discs(tmp_path_factory.mktemp("discs"))
    network = UNet(UNetConfig(3, (4, 8)))
    torch.save(network.state_dict(), config.with_name("first.pth"))
    text = CONFIG.replace("widths", 'initial = "first.pth", widths')
    config.write_text('notes = "Größe \\"17\\" \\\\ px"\n' + text, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MORULA_DATA", raising=False)
        return config, packing.pack(config, tmp_path_factory.mktemp("pack"), packing.QUALITY, lambda _: None)


def told(config: Config) -> dict[str, object]:
    return config.model_dump(exclude={"sources", "settings"})


def test_what_is_packed_is_what_would_have_been_learned_from(packed: tuple[Path, Path]) -> None:
    before, after = (read_config(path) for path in packed)
    assert told(after) == told(before)
    assert after.settings == {**before.settings, "initial": "first.safetensors"}
    pairs = zip(
        read_source(before.sources[0], packed[0].parent), read_source(after.sources[0], packed[1].parent), strict=True
    )
    for one, other in pairs:
        assert (one.key, one.group, one.kind, one.mpp) == (other.key, other.group, other.kind, other.mpp)
        assert np.array_equal(one.labels, other.labels)
        assert 0 < np.abs(one.pixels.astype(int) - other.pixels).mean() < 6
    first, then = (
        unet_files.read(folder / name)
        for folder, name in ((packed[0].parent, "first.pth"), (packed[1].parent, "first.safetensors"))
    )
    assert all(np.allclose(first[name], then[name], rtol=1e-3, atol=1e-6) for name in first)


def test_it_is_small(packed: tuple[Path, Path]) -> None:
    sizes = [
        sum(file.stat().st_size for file in (path.parent / name).rglob("*.*") if file.is_file())
        for path, name in zip(packed, ("images", "mine"), strict=True)
    ]
    assert sizes[1] < sizes[0] / 2


def test_weights_that_ship_are_not_packed_twice(tmp_path: Path) -> None:
    (row,) = shipped.rows("segmenter")
    network = dict(shipped.files(row))["network"]
    config = write_discs(tmp_path / "discs")
    shutil.copy(network, config.with_name("first.onnx"))
    config.write_text(CONFIG.replace("crop_px = 64, widths = [4, 8]", 'crop_px = 64, initial = "first.onnx"'))
    folder = ROOT / "build" / "packed-by-a-test"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("MORULA_DATA", raising=False)
            initial = read_config(packing.pack(config, folder, packing.QUALITY, lambda _: None)).settings["initial"]
        assert (folder / initial).is_symlink()
        assert (folder / initial).resolve() == network
        assert not (folder / initial).readlink().is_absolute()
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (('"mine"\npath', '"a/b"\npath'), "gives a folder its name"),
        (("widths", 'initial = "no.pth", widths'), "no.pth"),
    ],
)
def test_what_cannot_be_packed_is_told(
    changed: tuple[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MORULA_DATA", raising=False)
    config = write_discs(tmp_path / "discs")
    config.write_text(CONFIG.replace(*changed))
    with pytest.raises(InvalidArgument, match=words):
        packing.pack(config, tmp_path / "pack", packing.QUALITY, lambda _: None)


def test_a_phase_that_fails_or_takes_too_long_keeps_no_other_from_running(tmp_path: Path) -> None:
    pack, interpreter = tmp_path / "pack", tmp_path / "python"
    (pack / "data").mkdir(parents=True)
    (pack / "wheels").mkdir()
    (pack / "data" / "config.toml").write_text(CONFIG)
    (pack / "python").write_text(".".join(map(str, sys.version_info[:2])))
    interpreter.write_text(INTERPRETER)
    interpreter.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(interpreter), "PACK": str(pack), "OUT": str(tmp_path / "out")}
    command = [str(ROOT / "scripts" / "on-gpu"), "run", "20"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    results = dict(line[3:].split(": ", 1) for line in ended.stdout.splitlines() if line.startswith("== "))
    assert tuple(results) == PHASES
    exits = {name: int(words.split()[1]) for name, words in results.items()}
    assert exits == {"machine": 0, "train": 124, "finish": 0, "bench": 3, "parity": 0}
    assert "tests/networks/test_gpu.py" in ended.stdout
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "summary.txt",
        "bench.json",
        "run.tar.gz",
        "tiny.onnx",
    }
    with tarfile.open(tmp_path / "out" / "run.tar.gz") as archive:
        assert {"./tiny.md", "./bench.log"} <= set(archive.getnames())


def test_another_interpreter_than_it_was_packed_for_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "python").write_text("3.1")
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "PACK": str(tmp_path)}
    ended = subprocess.run(
        [str(ROOT / "scripts" / "on-gpu"), "run"], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "packed for Python 3.1," in ended.stderr
