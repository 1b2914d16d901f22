"""Admission and compute: few calls are let in, fewer compute, the event loop stays free to answer health."""

from __future__ import annotations

import asyncio
import contextvars
import math
import os
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from morula.common.errors import Busy, Cancelled, TooLarge, Unavailable

S = TypeVar("S")
T = TypeVar("T")
Checkpoint = Callable[[], None]


def go_on() -> None:
    """The checkpoint of what nobody stops."""


class Slot:
    """Lets `admit` calls in, the running ones included; runs `at_once` of them, each in a thread of its own.

    Calls that name what they are for (`whose`) take turns by that name, and no name has more than `each_admit` calls
    in and `each_at_once` running: who keeps a slot busy with one thing does not keep others from theirs.
    """

    def __init__(
        self,
        name: str,
        admit: int = 3,
        *,
        at_once: int = 1,
        each_admit: int | None = None,
        each_at_once: int | None = None,
        limit_cpu_s: float = math.inf,
        retry_after_s: float = 1.0,
    ) -> None:
        if admit < 1:
            raise ValueError("a slot admits at least one call")
        self.name = name
        self._admit, self._each_admit = admit, admit if each_admit is None else each_admit
        self._at_once, self._each_at_once = at_once, at_once if each_at_once is None else each_at_once
        self._limit_cpu_s = limit_cpu_s
        self._retry_after_s = retry_after_s
        self._inside: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[_Call]] = OrderedDict()
        self._closed = False
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix=f"slot-{name}")

    @property
    def inside(self) -> int:
        """Calls that run or wait."""
        return self._inside.total()

    async def run(self, work: Callable[[Checkpoint], T], whose: str = "") -> T:
        """Runs `work(checkpoint)`; Busy where all places are taken.

        When the call is cancelled (by its caller or its deadline), work that waits never starts, and work that
        runs is stopped by its next `checkpoint()`. Its place is free only then: the device is still taken. Work that
        has used the processor for longer than the slot's limit is stopped there, too.
        """
        call = _Call(whose, work, self._limit_cpu_s)
        with self._lock:
            if self._closed:
                raise Unavailable(f"{self.name} is closing")
            if self.inside >= self._admit or self._inside[whose] >= self._each_admit:
                places = self._admit if self.inside >= self._admit else self._each_admit
                raise Busy(f"{self.name} has all {places} places taken", retry_after_s=self._retry_after_s)
            self._inside[whose] += 1
            self._waiting.setdefault(whose, deque()).append(call)
        call.future.add_done_callback(lambda future: self._drop(call) if future.cancelled() else None)
        self._start()
        try:
            result: T = await asyncio.wrap_future(call.future)
            return result
        except asyncio.CancelledError:
            call.cancelled.set()
            raise

    def close(self) -> None:
        """Waiting work is dropped; running work ends first."""
        with self._lock:
            self._closed = True
            waiting = [call for calls in self._waiting.values() for call in calls]
        for call in waiting:
            call.future.cancel()
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> None:
        """Gives free threads to those who wait, the name that had its turn longest ago first."""
        with self._lock:
            while not self._closed and self._running.total() < self._at_once and (call := self._next()):
                if call.future.set_running_or_notify_cancel():
                    self._running[call.whose] += 1
                    self._worker.submit(self._run, call)

    def _run(self, call: _Call) -> None:
        """Runs a call, and frees its place before its caller gets the result."""
        tell = call.run()
        with self._lock:
            self._inside -= Counter({call.whose: 1})
            self._running -= Counter({call.whose: 1})
        tell()
        self._start()

    def _next(self) -> _Call | None:
        for whose, calls in self._waiting.items():
            if self._running[whose] < self._each_at_once:
                call = calls.popleft()
                self._waiting.move_to_end(whose)
                if not calls:
                    del self._waiting[whose]
                return call
        return None

    def _drop(self, call: _Call) -> None:
        """Its caller went away before it began."""
        with self._lock:
            self._inside -= Counter({call.whose: 1})
            calls = self._waiting.get(call.whose, deque())
            if call in calls:
                calls.remove(call)
            if not calls:
                self._waiting.pop(call.whose, None)


class _Call:
    """Work that waits for a thread or runs in one."""

    def __init__(self, whose: str, work: Callable[[Checkpoint], Any], limit_cpu_s: float) -> None:
        self.whose = whose
        self.future: Future[Any] = Future()
        self.cancelled = threading.Event()
        self._work = work
        self._limit_cpu_s = limit_cpu_s
        self._context = contextvars.copy_context()

    def run(self) -> Callable[[], None]:
        """Does the work, and returns what tells the caller of its result or error."""
        until_cpu_s = time.thread_time() + self._limit_cpu_s

        def checkpoint() -> None:
            if self.cancelled.is_set():
                raise Cancelled("the caller no longer waits")
            if time.thread_time() > until_cpu_s:
                raise TooLarge(f"this takes more than {self._limit_cpu_s:.0f} s of work: ask for less at once")

        try:
            return partial(self.future.set_result, self._context.run(self._work, checkpoint))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller that waits gets it
            return partial(self.future.set_exception, error)


class Processors:
    """As many threads at once as there are processors: each takes a place, and lends it while it waits for a device."""

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
        """Gives this thread's place to others for the block, if it has one."""
        if not getattr(self._here, "has_place", False):
            yield
            return
        self._free.release()
        try:
            yield
        finally:
            self._free.acquire()

    def each(self, items: Iterable[S]) -> Iterator[S]:
        """The items. Each is made while holding a place, and handed out without it."""
        source = iter(items)
        while True:
            with self.taken():
                try:
                    item = next(source)
                except StopIteration:
                    return
            yield item


def in_order(work: Callable[[S], T], items: Iterable[S], at_once: int) -> Iterator[T]:
    """Results in the order of their items, with a limited number at work at once; an error ends all of it."""
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
