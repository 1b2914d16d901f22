"""One supervisor at a time uses a folder."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from morula.gateway.ledger import deletion, jobs, tables
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.migrate import FIRST_PROJECT, migrate
from morula.onebox.failures import Failure
from morula.onebox.folder import DataFolder, Holder, KeptRun, default_data_dir
from tests.servers.rows import add_job

HOLD = """
import sys
from pathlib import Path
from morula.onebox.folder import DataFolder
with DataFolder(Path(sys.argv[1])).locked("serve"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_default_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / "morula"


def test_the_folder_is_private(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.make()
    assert folder.root.stat().st_mode & 0o077 == 0


def test_a_second_one_is_told_who_holds_it(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with folder.locked("serve"):
        folder.announce(Holder(os.getpid(), "serve", "http://127.0.0.1:1"))
        assert DataFolder(tmp_path).holder() == Holder(os.getpid(), "serve", "http://127.0.0.1:1")
        with pytest.raises(Failure, match=f"morula serve, process {os.getpid()}"), DataFolder(tmp_path).locked("run"):
            pass
    assert folder.holder() is None


def test_only_a_folder_that_nobody_uses_is_cleared(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.clear()
    with folder.locked("demo"), pytest.raises(Failure, match="in use by morula demo"):
        DataFolder(folder.root).clear()
    folder.clear()
    assert not folder.root.exists()


def test_kill_9_lets_go(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert DataFolder(tmp_path).holder() == Holder(other.pid, "serve", None)
        other.send_signal(signal.SIGKILL)
        other.wait()
    with DataFolder(tmp_path).locked("run"):
        pass


def test_who_only_looks_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = DataFolder(tmp_path)
    folder.make()
    with (tmp_path / "lock").open("a+") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert folder.holder() is None
        monkeypatch.setattr(time, "sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))
        with folder.locked("serve"):
            assert folder.holder() == Holder(os.getpid(), "serve", None)


def test_leavings_of_the_killed_go_once_the_folder_is_ours(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.make()
    (folder.scratch / "morula-slide-x").mkdir()
    with folder.locked("run"):
        assert not list(folder.scratch.iterdir())
        (folder.scratch / "morula-slide-y").mkdir()
        with pytest.raises(Failure), DataFolder(tmp_path).locked("serve"):
            pass
        assert [path.name for path in folder.scratch.iterdir()] == ["morula-slide-y"]


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="--data"):
        DataFolder(tmp_path / "file" / "data").make()


def test_a_run_is_kept_until_it_is_deleted(tmp_path: Path) -> None:
    folder, digest = DataFolder(tmp_path), "d" * 64
    assert folder.kept_run(digest, "r") is None
    url = f"sqlite:///{folder.database}"
    migrate(url)
    ledger = Ledger(url)
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, FIRST_PROJECT)
        jobs.finish_job(tx, job_id, "succeeded", result_digest="r", labelling_id="l")
    assert folder.kept_run(digest, "r") == KeptRun(job_id, "l")
    with ledger.writing() as tx:
        tx.execute(update(tables.slide).values(stain="IHC"))
    assert folder.kept_run(digest, "r") == KeptRun(job_id, "l", "IHC"), "as somebody says it now"
    assert folder.kept_run(digest, "another result") is None
    assert folder.kept_run("e" * 64, "r") is None
    with ledger.writing() as tx:
        deletion.delete_job(tx, job_id)
    assert folder.kept_run(digest, "r") is None
    ledger.close()
