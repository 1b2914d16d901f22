"""A side task that fails says so and begins again; one that is done is over."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from morula.gateway.tasks import keep_running, side_task


async def test_what_fails_begins_again_and_what_is_done_ends() -> None:
    faults = [RuntimeError("a fault of ours"), OSError("and another")]

    async def work() -> None:
        if faults:
            raise faults.pop()

    with capture_logs() as said:
        await keep_running("watch", work, pause_s=0)
    assert not faults
    assert [(line["task"], line["log_level"]) for line in said] == [("watch", "error")] * 2


async def test_a_side_task_ends_with_its_context_whatever_it_does() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
            raise RuntimeError("not even so")

    async with side_task("watch", work):
        await begun.wait()
    assert ended.is_set()
