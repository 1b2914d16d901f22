"""Background tasks that are started again and logged when they fail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from morula.common.telemetry import log

RESTART_PAUSE_S = 2.0


async def keep_running(name: str, work: Callable[[], Awaitable[None]], pause_s: float = RESTART_PAUSE_S) -> None:
    """Do the work until it returns; if it fails, log that and begin again."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 whatever it is, nobody else would do the work
            log.exception("side task failed and begins again", task=name)
            if is_cancelled():
                # The error came of the cancelling, and the canceller waits for the task's end.
                return
            await asyncio.sleep(pause_s)
        else:
            return


def is_cancelled() -> bool:
    """Whether somebody wants this task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@asynccontextmanager
async def side_task(name: str, work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Keep the work running as long as the context lasts."""
    task = asyncio.create_task(keep_running(name, work), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
