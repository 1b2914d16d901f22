"""One supervisor at a time uses a folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from morula.onebox.failures import Failure
from morula.onebox.folder import DataFolder, Holder, default_data_dir

HOLD = """
import sys, time
from pathlib import Path
from morula.onebox.folder import DataFolder
with DataFolder(Path(sys.argv[1])).locked("serve"):
    print("held", flush=True)
    time.sleep(60)
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
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert DataFolder(tmp_path).holder() == Holder(other.pid, "serve", None)
        other.send_signal(signal.SIGKILL)
        other.wait()
    with DataFolder(tmp_path).locked("run"):
        pass


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="--data"):
        DataFolder(tmp_path / "file" / "data").make()
