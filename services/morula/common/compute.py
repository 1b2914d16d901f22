"""Admission and compute: few calls are let in, fewer compute, the event loop stays free to answer health."""

from __future__ import annotations

import asyncio
import contextvars
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from morula.common.errors import Busy, Cancelled

S = TypeVar("S")
T = TypeVar("T")
Checkpoint = Callable[[], None]


class Slot:
    """Lets `admit` calls in, the running ones included; runs `at_once` of them, each in a thread of its own."""

    def __init__(self, name: str, admit: int = 3, *, at_once: int = 1, retry_after_s: float = 1.0) -> None:
        if admit < 1:
            raise ValueError("a slot admits at least one call")
        self.name = name
        self._admit = admit
        self._retry_after_s = retry_after_s
        self._inside = 0
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix=f"slot-{name}")

    @property
    def inside(self) -> int:
        """Calls that run or wait."""
        return self._inside

    async def run(self, work: Callable[[Checkpoint], T]) -> T:
        """Runs `work(checkpoint)`; Busy where all places are taken.

        When the call is cancelled (by its caller or its deadline), work that waits never starts, and work that
        runs is stopped by its next `checkpoint()`. Its place is free only then: the device is still taken.
        """
        with self._lock:
            if self._inside >= self._admit:
                raise Busy(f"{self.name} has all {self._admit} places taken", retry_after_s=self._retry_after_s)
            self._inside += 1
        cancelled = threading.Event()

        def checkpoint() -> None:
            if cancelled.is_set():
                raise Cancelled("the caller no longer waits")

        context = contextvars.copy_context()
        future = self._worker.submit(context.run, work, checkpoint)
        future.add_done_callback(lambda _: self._leave())
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def close(self) -> None:
        """Waiting work is dropped; running work ends first."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1


class Cores:
    """Places for work on the processor, a thread each. Who waits for a device lends its place meanwhile."""

    def __init__(self, count: int = 0) -> None:
        self.count = count or cpu_count()
        self._free = threading.BoundedSemaphore(self.count)
        self._here = threading.local()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Waits for a place and has it for the block."""
        with self._free:
            self._here.has_place = True
            try:
                yield
            finally:
                self._here.has_place = False

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Whoever waits may have this thread's place for the block; nothing where it has none."""
        if not getattr(self._here, "has_place", False):
            yield
            return
        self._free.release()
        try:
            yield
        finally:
            self._free.acquire()

    def each(self, items: Iterable[S]) -> Iterator[S]:
        """The items; each is made on a place, and used without it."""
        source = iter(items)
        while True:
            with self.taken():
                try:
                    item = next(source)
                except StopIteration:
                    return
            yield item


def in_order(work: Callable[[S], T], items: Iterable[S], at_once: int) -> Iterator[T]:
    """Results in the order of their items, of which so many are in work at a time; an error ends all of it."""
    with ThreadPoolExecutor(at_once, thread_name_prefix="in-order") as pool:
        running: deque[Future[T]] = deque()
        try:
            for item in items:
                running.append(pool.submit(contextvars.copy_context().run, work, item))
                if len(running) == at_once:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def cpu_count(cgroup_root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int:
    """CPUs that this process may use: affinity, and the quota of its cgroup (v1 or v2), never less than one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _cgroup_folders(cgroup_root, membership) if (quota := _quota(folder)) is not None]
    return max(1, min([allowed, *(math.ceil(quota) for quota in quotas)]))


def _cgroup_folders(root: Path, membership: Path) -> list[Path]:
    """The cgroup's folder and all above it: a quota anywhere on the way binds."""
    folders = []
    for line in membership.read_text(encoding="utf-8").splitlines() if membership.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / controllers if controllers and (root / controllers).exists() else root / "cpu"
        base = base if controllers else root
        inner = base / path.lstrip("/")
        folders += [folder for folder in (inner, *inner.parents) if folder == base or base in folder.parents]
    return folders or [root, root / "cpu"]


def _quota(folder: Path) -> float | None:
    v2, v1, period = folder / "cpu.max", folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"
    if v2.exists():
        quota, length = v2.read_text(encoding="utf-8").split()
        return None if quota == "max" else int(quota) / int(length)
    if v1.exists() and period.exists():
        micros = int(v1.read_text(encoding="utf-8"))
        return None if micros <= 0 else micros / int(period.read_text(encoding="utf-8"))
    return None
