"""What can happen to a job. Each fault strikes once, lasts a while, and then all is as it was."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

from morula.onebox.machine import SERVICES
from tests.chaos.grounds import Change
from tests.chaos.worlds import Round

Fault = Callable[[Round, random.Random], str]
"""Strikes; tells what it did."""

KEPT = ("slide",)
"""Stages whose objects nothing can make again."""
ZEROED_BYTES = 400


def kill(now: Round, rng: random.Random) -> str:
    name = _program(now, rng)
    os.kill(now.pid(name), signal.SIGKILL)
    return name


def freeze(now: Round, rng: random.Random) -> str:
    name, seconds = _program(now, rng), rng.uniform(1.0, 8.0)
    pid = now.pid(name)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(pid, signal.SIGCONT)
    return f"{name} {seconds:.0f} s"


def database(now: Round, rng: random.Random) -> str:
    seconds = rng.choice((0.2, 1.0, 5.0, 20.0))
    now.ground.database_away(seconds)
    return f"{seconds} s"


def store(now: Round, rng: random.Random) -> str:
    seconds = rng.choice((0.2, 1.0, 5.0))
    now.ground.store_away(seconds)
    return f"{seconds} s"


def full(now: Round, rng: random.Random) -> str:
    seconds = rng.uniform(1.0, 5.0)
    now.ground.store_full(seconds)
    return f"{seconds:.0f} s"


def corrupt(now: Round, rng: random.Random) -> str:
    key = _artifact(now, rng)
    if key is not None:
        now.ground.damage(key, rng.choice((zeroed, flipped, cut))(rng))
    return key or "nothing there"


def remove(now: Round, rng: random.Random) -> str:
    key = _artifact(now, rng)
    if key is not None:
        now.ground.store.delete(key)
    return key or "nothing there"


FAULTS: dict[str, Fault] = {
    "kill -9": kill,
    "frozen": freeze,
    "database away": database,
    "store away": store,
    "disk full": full,
    "artifact corrupt": corrupt,
    "artifact missing": remove,
}


def zeroed(rng: random.Random) -> Change:
    def change(body: bytes) -> bytes:
        start = rng.randrange(len(body))
        return body[:start] + bytes(len(body[start : start + ZEROED_BYTES])) + body[start + ZEROED_BYTES :]

    return change


def flipped(rng: random.Random) -> Change:
    def change(body: bytes) -> bytes:
        at = rng.randrange(len(body))
        return body[:at] + bytes([body[at] ^ 1 << rng.randrange(8)]) + body[at + 1 :]

    return change


def cut(rng: random.Random) -> Change:
    return lambda body: body[: rng.randrange(len(body))]


def _program(now: Round, rng: random.Random) -> str:
    return rng.choice((*SERVICES, *now.gateways))


def _artifact(now: Round, rng: random.Random) -> str | None:
    keys = [stored.key for stored in now.ground.store.list("") if stored.size_bytes]
    keys = [key for key in keys if key.split("/")[2] not in KEPT]
    return rng.choice(keys) if keys else None
