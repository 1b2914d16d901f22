"""What takes disk space is shown, and what nothing names is deleted where somebody says so."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from morula.cli import main as cli
from morula.cli.upkeep import in_words
from morula.common.folder import FolderStore
from morula.gateway import own_store
from morula.gateway.ledger import objects
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.migrate import migrate
from morula.onebox.folder import DataFolder

LOST = "default/s/vectors/lost.npy"


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path)
    made.make()
    url = f"sqlite:///{made.database}"
    migrate(url)
    store, ledger = FolderStore(made.objects), Ledger(url)
    for key, size_bytes in (("default/s/slide/a.svs", 3000), ("default/s/cells/1.parquet", 20), (LOST, 100)):
        store.put(key, bytes(size_bytes))
        two_days_ago = time.time() - 48 * 3600
        os.utime(made.objects / key, (two_days_ago, two_days_ago))
    with ledger.writing() as tx:
        objects.claim(tx, objects.UPLOAD, "u", ["default/s/slide/a.svs", "default/s/cells/1.parquet"])
    ledger.close()
    return made


def morula(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["morula", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_disk_usage_by_kind(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = morula(monkeypatch, capsys, "doctor", "--json", "--data", str(folder.root))
    usages: dict[str, Any] = {one["kind"]: one for one in json.loads(out)["room"]}
    assert (usages["slides"]["count"], usages["slides"]["size_bytes"]) == (1, 3000)
    assert usages["cells"]["size_bytes"] == 20
    assert usages["named by nothing (morula sweep)"]["size_bytes"] == 100
    assert usages["database"]["size_bytes"] > 0
    assert usages["free on the disk"]["size_bytes"] > 0


def test_a_sweep_shows_first_and_deletes_where_told(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("sweep", "--json", "--data", str(folder.root))
    code, out, _ = morula(monkeypatch, capsys, *words)
    shown = json.loads(out)
    assert (code, [one["key"] for one in shown["orphans"]], shown["deleted_count"]) == (0, [LOST], 0)
    assert json.loads(morula(monkeypatch, capsys, *words, "--older-than-hours", "72")[1])["orphans"] == []
    assert (folder.objects / LOST).is_file()
    assert json.loads(morula(monkeypatch, capsys, *words, "--delete")[1])["deleted_count"] == 1
    assert not (folder.objects / LOST).exists()
    assert (folder.objects / "default/s/slide/a.svs").is_file()


def test_objects_of_another_database_are_not_swept(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own_store.leave_mark(FolderStore(folder.objects), "databases/default/another.json")
    _, out, _ = morula(monkeypatch, capsys, "doctor", "--json", "--data", str(folder.root))
    assert "1 other database" in {one["name"]: one["detail"] for one in json.loads(out)["findings"]}["objects"]
    words = ("sweep", "--data", str(folder.root), "--delete")
    code, _, err = morula(monkeypatch, capsys, *words)
    assert (code, "another" in err or "other database" in err) == (1, True)
    assert (folder.objects / LOST).is_file()
    assert morula(monkeypatch, capsys, *words, "--alone")[0] == 0
    assert not (folder.objects / LOST).exists()


def test_a_sweep_of_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = morula(monkeypatch, capsys, "sweep", "--data", str(tmp_path))
    assert (code, "there is no database" in err) == (1, True)


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [(0, "0 B"), (1023, "1,023 B"), (1536, "1.5 KiB"), (200 << 20, "200 MiB"), (5 << 40, "5.0 TiB")],
)
def test_sizes_in_words(size_bytes: int, words: str) -> None:
    assert in_words(size_bytes) == words
