"""Programs are kept running, and none is left behind."""

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import psutil
import pytest

from morula.onebox import logs
from morula.onebox.failures import Failure
from morula.onebox.supervisor import Program, Supervisor

PATIENCE_S = 120
WELL = """
import os, signal, sys
from pathlib import Path
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
Path(os.environ["FLAG"]).write_text(str(os.getpid()))
signal.pause()
"""
STUBBORN = WELL.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
TALKER = """
import os, signal, sys
from pathlib import Path
for number in range(20_000):
    sys.stderr.write(f"{number} {'x' * 20}\\n")
Path(os.environ["FLAG"]).write_text(str(os.getpid()))
os.kill(os.getpid(), signal.SIGKILL)
"""
BROKEN = "import sys\nsys.exit('the disk is full')\n"
SUPERVISOR = """
import os, signal, sys
from pathlib import Path
from morula.onebox.supervisor import Program, Supervisor
flag = Path(os.environ["FLAG"])
program = Program("well", "well", dict(os.environ), flag.exists, 5)
with Supervisor([program], flag.parent, print) as supervisor:
    supervisor.wait_until_healthy()
    print(supervisor.pid("well"), flush=True)
    signal.pause()
"""

Make = Callable[..., Program]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Make]:
    def make(name: str, text: str, stop_s: float = PATIENCE_S) -> Program:
        (tmp_path / f"{name}.py").write_text(text)
        flag = tmp_path / f"{name}.flag"
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "FLAG": str(flag)}
        return Program(name, name, environment, flag.exists, stop_s)

    yield make
    for flag in tmp_path.glob("*.flag"):
        written = flag.read_text()  # Empty where the program was killed while it wrote it.
        assert not (written and psutil.pid_exists(int(written))), f"{flag.stem} was left behind"


def test_what_dies_is_started_again(program: Make, tmp_path: Path) -> None:
    messages: queue.Queue[str] = queue.Queue()
    numbers = count()
    well = replace(program("well", WELL), at_start=lambda: {"NUMBER": str(next(numbers))})
    with Supervisor([well], tmp_path, messages.put) as supervisor:
        supervisor.wait_until_healthy()
        first = supervisor.pid("well")
        assert psutil.Process(first).environ()["NUMBER"] == "0"
        (tmp_path / "well.flag").unlink()
        os.kill(first, signal.SIGKILL)
        assert "was ended by SIGKILL" in messages.get(timeout=PATIENCE_S)
        supervisor.wait_until_healthy()
        assert supervisor.pid("well") != first
        assert psutil.Process(supervisor.pid("well")).environ()["NUMBER"] == "1"


def test_a_log_is_bounded_while_it_is_written_and_has_the_last_words_of_the_killed(
    program: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LOG_BYTES", 100_000)
    messages: queue.Queue[str] = queue.Queue()
    with Supervisor([program("talker", TALKER)], tmp_path, messages.put) as supervisor:
        supervisor.wait_until_healthy()
        assert "was ended by SIGKILL" in messages.get(timeout=PATIENCE_S)
    files = [tmp_path / "talker.log.1", tmp_path / "talker.log"]
    assert all(file.stat().st_size <= 100_000 + 100 for file in files)
    lines = b"".join(file.read_bytes() for file in files).splitlines()
    numbers = [int(line.partition(b" ")[0]) for line in lines]
    last = numbers.index(19_999)
    assert numbers[: last + 1] == list(range(20_000 - last - 1, 20_000)), "no line is lost, cut or out of its place"


def test_a_program_goes_on_where_its_log_cannot_be_written(tmp_path: Path) -> None:
    messages: list[str] = []
    log = logs.Log(tmp_path / "away" / "a.log", messages.append)
    for _ in range(2):
        writing, reader = log.take()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(b"x" * 300_000)
        reader.join(PATIENCE_S)
    assert len(messages) == 1
    assert "cannot be written (No such file or directory)" in messages[0]


def test_a_program_that_cannot_start_says_why_in_one_line(program: Make, tmp_path: Path) -> None:
    messages: list[str] = []
    broken = program("broken", BROKEN)
    with (
        pytest.raises(Failure, match="broken does not start: the disk is full"),
        Supervisor([broken], tmp_path, messages.append) as supervisor,
    ):
        supervisor.wait_until_healthy()
    assert messages == [], "the failure says it all in one line"


def test_the_front_door_stops_first_and_the_stubborn_is_killed(program: Make, tmp_path: Path) -> None:
    messages: list[str] = []
    programs = [program("stubborn", STUBBORN, stop_s=0.3), program("door", WELL)]
    with Supervisor(programs, tmp_path, messages.append) as supervisor:
        supervisor.wait_until_healthy()
    assert messages == ["stubborn did not stop within 0.3 s and was killed"]


def test_no_program_outlives_a_killed_supervisor(program: Make, tmp_path: Path) -> None:
    well = program("well", WELL)
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR], env=well.environment, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
        child.wait(timeout=PATIENCE_S)
