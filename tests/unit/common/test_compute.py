"""A slot lets few in, runs fewer, and never blocks the event loop; processors are shared."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import structlog

from morula.common.compute import Checkpoint, Processors, Slot, cpu_count
from morula.common.errors import Busy, Cancelled, TooLarge

WAIT_S = 120


@pytest.fixture
def slot() -> Iterator[Slot]:
    slot = Slot("segmenter", admit=2)
    yield slot
    slot.close()


class Held:
    """Work that says when it began and ends when it is let go."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.released = threading.Event()
        self.stopped = threading.Event()

    def __call__(self, checkpoint: Checkpoint) -> str:
        self.began.set()
        while not self.released.wait(0.01):
            try:
                checkpoint()
            except Cancelled:
                self.stopped.set()
                raise
        return threading.current_thread().name


async def began(work: Held) -> None:
    assert await asyncio.to_thread(work.began.wait, WAIT_S)


async def test_work_runs_in_a_named_thread_of_its_own(slot: Slot) -> None:
    work = Held()
    work.released.set()
    assert (await slot.run(work)).startswith("slot-segmenter")
    assert slot.inside == 0


async def test_who_comes_when_all_places_are_taken_is_told_so_at_once(slot: Slot) -> None:
    first, second = Held(), Held()
    running, waiting = asyncio.create_task(slot.run(first)), asyncio.create_task(slot.run(second))
    await began(first)
    with pytest.raises(Busy):
        await slot.run(lambda checkpoint: None)
    assert not second.began.is_set()
    first.released.set()
    await running
    await began(second)
    second.released.set()
    await waiting
    assert await slot.run(lambda checkpoint: 7) == 7


async def test_cancelled_work_stops_at_its_next_checkpoint_and_keeps_its_place_till_then(slot: Slot) -> None:
    work, next_ = Held(), Held()
    running = asyncio.create_task(slot.run(work))
    await began(work)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await asyncio.to_thread(work.stopped.wait, WAIT_S)
    next_.released.set()
    await slot.run(next_)
    assert slot.inside == 0


async def test_cancelled_work_that_waits_never_starts(slot: Slot) -> None:
    first, second = Held(), Held()
    running, waiting = asyncio.create_task(slot.run(first)), asyncio.create_task(slot.run(second))
    await began(first)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert slot.inside == 1
    first.released.set()
    await running
    assert not second.began.is_set()


async def test_an_error_reaches_the_caller_and_frees_the_place(slot: Slot) -> None:
    def fail(checkpoint: Checkpoint) -> None:
        raise RuntimeError("broken")

    for _ in range(3):
        with pytest.raises(RuntimeError, match="broken"):
            await slot.run(fail)


async def test_work_keeps_the_ids_of_its_call(slot: Slot) -> None:
    with structlog.contextvars.bound_contextvars(job_id="j1"):
        assert await slot.run(lambda checkpoint: structlog.contextvars.get_contextvars()["job_id"]) == "j1"


async def test_a_slot_runs_as_many_at_once_as_it_is_told() -> None:
    slot = Slot("segmenter", admit=3, at_once=2)
    works = [Held(), Held(), Held()]
    calls = [asyncio.create_task(slot.run(work)) for work in works]
    for work in works[:2]:
        await began(work)
    assert not works[2].began.is_set()
    works[1].released.set()
    await calls[1]
    await began(works[2])
    works[0].released.set()
    works[2].released.set()
    await asyncio.gather(*calls)
    assert slot.inside == 0
    slot.close()


async def test_who_keeps_a_slot_busy_with_one_thing_does_not_keep_others_from_theirs() -> None:
    slot = Slot("tiler", admit=6, at_once=2, each_admit=4, each_at_once=1)
    long, queued = Held(), [Held() for _ in range(3)]
    calls = [asyncio.create_task(slot.run(work, "long")) for work in (long, *queued)]
    await began(long)
    with pytest.raises(Busy, match="all 4 places"):
        await slot.run(lambda _: None, "long")
    assert await slot.run(lambda _: 7, "other") == 7
    assert not any(work.began.is_set() for work in queued)
    for call in calls[1:]:
        call.cancel()
    await asyncio.gather(*calls[1:], return_exceptions=True)
    assert slot.inside == 1, "who no longer waits has no place"
    long.released.set()
    await calls[0]
    assert not any(work.began.is_set() for work in queued)
    slot.close()


async def test_names_take_turns() -> None:
    slot, first, order = Slot("tiler", admit=9), Held(), []

    def note(whose: str) -> Callable[[Checkpoint], None]:
        return lambda _: order.append(whose)

    calls = [asyncio.create_task(slot.run(first, "a"))]
    await began(first)
    calls += [asyncio.create_task(slot.run(note(whose), whose)) for whose in "aaabb"]
    await asyncio.sleep(0)
    first.released.set()
    await asyncio.gather(*calls)
    assert order == ["a", "b", "a", "b", "a"]
    slot.close()


async def test_work_ends_when_it_has_used_the_processor_too_long() -> None:
    slot = Slot("tiler", limit_cpu_s=0.05)

    def endless(checkpoint: Checkpoint) -> None:
        while True:
            checkpoint()

    with pytest.raises(TooLarge, match="more than 0 s of work"):
        await slot.run(endless)
    assert slot.inside == 0
    slot.close()


async def test_a_slot_that_closes_drops_what_waits() -> None:
    slot, running = Slot("tiler", admit=2), Held()
    calls = [asyncio.create_task(slot.run(work)) for work in (running, Held())]
    await began(running)
    closing = asyncio.create_task(asyncio.to_thread(slot.close))
    with pytest.raises(asyncio.CancelledError):
        await calls[1]
    assert not closing.done(), "running work ends first"
    running.released.set()
    await asyncio.gather(closing, calls[0])


def test_no_more_work_runs_than_there_are_cores() -> None:
    processors, lock, running, most = Processors(2), threading.Lock(), 0, 0
    both = threading.Barrier(2, timeout=WAIT_S)

    def work() -> None:
        nonlocal running, most
        with processors.taken():
            with lock:
                running += 1
                most = max(most, running)
            both.wait()
            with lock:
                running -= 1

    _run_all([work] * 6)
    assert most == 2


def test_who_waits_for_a_device_lends_its_core() -> None:
    processors, order = Processors(1), []
    waits, done = threading.Event(), threading.Event()

    def waiting() -> None:
        with processors.taken():
            with processors.lent():
                waits.set()
                assert done.wait(WAIT_S)
            order.append("back")

    def other() -> None:
        assert waits.wait(WAIT_S)
        with processors.taken():
            done.set()
            order.append("other")

    _run_all([waiting, other])
    assert order == ["other", "back"]
    with processors.taken():
        pass


def test_who_has_no_core_lends_none() -> None:
    processors = Processors(1)
    with processors.lent(), processors.taken():
        pass


def test_each_item_is_made_on_a_core_and_used_without_it() -> None:
    processors = Processors(1)
    for number, item in enumerate(processors.each(iter(range(3)))):
        with processors.taken():
            assert item == number


def _run_all(works: list[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(works)) as pool:
        for future in [pool.submit(work) for work in works]:
            future.result(WAIT_S)


def test_a_slot_without_places_makes_no_sense() -> None:
    with pytest.raises(ValueError):
        Slot("none", admit=0)


def membership(folder: Path, text: str) -> Path:
    path = folder / "membership"
    path.write_text(text)
    return path


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(("quota", "cpus"), [("150000 100000", 2), ("20000 100000", 1), ("max 100000", 64)])
def test_a_v2_quota_binds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cpus: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    written(tmp_path / "pod" / "cpu.max", quota)
    written(tmp_path / "pod" / "box" / "cpu.max", "max 100000")
    assert cpu_count(tmp_path, membership(tmp_path, "0::/pod/box\n")) == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("300000", 3), ("-1", 64)])
def test_a_v1_quota_binds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cpus: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    written(tmp_path / "cpu,cpuacct" / "box" / "cpu.cfs_quota_us", quota)
    written(tmp_path / "cpu,cpuacct" / "box" / "cpu.cfs_period_us", "100000")
    groups = membership(tmp_path, "5:memory:/box\n4:cpu,cpuacct:/box\n")
    assert cpu_count(tmp_path, groups) == cpus


def test_inside_a_container_the_quota_lies_at_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The membership file names the host's path there, which does not exist inside.
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    written(tmp_path / "cpu" / "cpu.cfs_quota_us", "200000")
    written(tmp_path / "cpu" / "cpu.cfs_period_us", "100000")
    assert cpu_count(tmp_path, membership(tmp_path, "4:cpu,cpuacct:/kubepods/x\n")) == 2


def test_affinity_binds_where_there_is_no_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 3, 5})
    assert cpu_count(tmp_path, tmp_path / "none") == 3
    assert cpu_count() >= 1
