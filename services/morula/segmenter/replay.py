"""The same step many times: where launching it costs more than the step itself, many are launched as one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import torch

from morula.common.telemetry import log

# A launch costs some 8 us, a captured step 1 to 2; more steps in a graph gain little, and each takes time to capture.
_CAPTURED_STEPS = 20
# Captures share their device's generator.
_one_capture = threading.Lock()


def repeat(step: Callable[[], None], count: int, device: torch.device) -> None:
    """Does so many steps, which change their tensors in place: a loop, and on CUDA the replay of a captured graph."""
    # The plain steps come first: what a kernel sets up when it is first called may not be captured.
    replays = max(0, count - 1) // _CAPTURED_STEPS if device.type == "cuda" else 0
    for _ in range(count - replays * _CAPTURED_STEPS):
        step()
    if not replays:
        return
    try:
        graph = _captured(step, device)
    except RuntimeError as error:
        # What can be captured is up to driver and version. The steps are the same, and memory is no worse without.
        log.warning("steps are launched one by one, for they could not be captured", reason=str(error))
        for _ in range(replays * _CAPTURED_STEPS):
            step()
        return
    for _ in range(replays):
        graph.replay()
    # The graph owns memory that its steps use.
    torch.cuda.current_stream(device).synchronize()


def _captured(step: Callable[[], None], device: torch.device) -> torch.cuda.CUDAGraph:
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    # Other threads go on computing and allocating meanwhile; `torch.cuda.graph` would empty their cache.
    with _one_capture, torch.cuda.stream(stream):
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            for _ in range(_CAPTURED_STEPS):
                step()
        except BaseException:
            # The first error is the one that tells.
            with suppress(RuntimeError):
                graph.capture_end()
            raise
        graph.capture_end()
    return graph
