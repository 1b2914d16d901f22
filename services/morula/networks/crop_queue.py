"""The crop queue: crops of all regions, shards and callers share batches of one fixed shape, one batch at a time.

A batch that is not full is padded, so that a crop's result does not depend on what else was waiting. Where the
device's memory does not hold a batch, batches of that network are halved from then on, and it is counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from morula.common.compute import Checkpoint, Processors
from morula.common.errors import Cancelled, Internal
from morula.networks import metrics
from morula.networks.devices import is_processor, still_computes
from morula.networks.dtypes import Runtime
from morula.networks.network import Answer, Batch, Crops, Maps, Network, OutOfMemory, on_host

# Outputs of a request with more crops (an image larger than any region) are moved off the device.
KEPT_CROPS = 512


class Seen(NamedTuple):
    """What a network says of all crops of a request, in their order."""

    maps: Sequence[Maps]
    """Of each crop (channels, height, width), where the network left them."""
    styles: NDArray[np.float32]
    features: NDArray[np.float16] | None


@dataclass(eq=False)
class _Request:
    """Crops of one caller, and the outputs so far."""

    network: Network
    crops: Crops
    batch: int
    threads: int
    maps: list[Maps] = field(default_factory=list)
    styles: list[NDArray[np.float32]] = field(default_factory=list)
    features: list[NDArray[np.float16]] = field(default_factory=list)
    taken: int = 0
    done: int = 0
    error: BaseException | None = None
    is_dropped: bool = False

    @property
    def shape(self) -> tuple[object, ...]:
        """Requests of one shape share batches."""
        return (id(self.network), self.crops.shape[1:], self.batch, self.threads)

    @property
    def is_over(self) -> bool:
        return self.is_dropped or self.error is not None or self.done == len(self.crops)

    def seen(self) -> Seen:
        features = np.concatenate(self.features) if self.features else None
        return Seen(self.maps, np.concatenate(self.styles), features)


class CropQueue:
    """Owns a device: a thread of its own runs batch after batch while there are crops."""

    def __init__(
        self,
        device: str = "cpu",
        batch: int = 0,
        processors: Processors | None = None,
        runtime: Runtime = "openvino",
    ) -> None:
        self.device = device
        self.runtime = runtime
        self.batch = batch or (1 if is_processor(device) else 64)
        self._processors = processors or Processors()
        self._waiting: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._limits: dict[tuple[object, ...], int] = {}
        self._callers = 0
        self._is_closed = False
        self._worker = threading.Thread(target=self._work, name="crops", daemon=True)
        self._worker.start()

    def run(self, network: Network, crops: Crops, checkpoint: Checkpoint, batch: int = 0, threads: int = 0) -> Seen:
        """What the network says of crops; maps stay on the device.

        `checkpoint` is asked after every batch of the device.
        """
        request = _Request(network, crops, batch or self.batch, threads or self._processors.count)
        with self._processors.lent(), self._changed:
            if self._is_closed:
                raise Cancelled("the crop queue is closed")
            self._waiting.append(request)
            self._callers += 1
            self._changed.notify_all()
            try:
                while not request.is_over:
                    checkpoint()
                    self._changed.wait()
            finally:
                request.is_dropped = not request.is_over
                self._callers -= 1
        if request.error:
            raise request.error
        return request.seen()

    @property
    def waiting(self) -> int:
        """The number of callers that are not answered yet."""
        return self._callers

    def check(self) -> bool:
        """Whether the device still computes."""
        return still_computes(self.device)

    def close(self) -> None:
        """Ends after the current batch; callers that wait get an error."""
        with self._changed:
            self._is_closed = True
        self._end_all(Cancelled("the crop queue is closed"))
        self._worker.join()

    def _work(self) -> None:
        while not self._is_closed:
            try:
                self._work_once()
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody else would wake who waits
                self._end_all(error)

    def _work_once(self) -> None:
        with self._changed:
            while not self._is_closed and not self._drop_ended():
                self._changed.wait()
            if self._is_closed:
                return
            parts = self._gather()
        outcome = self._attempt(parts)
        with self._changed:
            self._scatter(parts, outcome)
            self._changed.notify_all()

    def _end_all(self, error: BaseException) -> None:
        """Every caller that waits gets this error."""
        with self._changed:
            for request in self._waiting:
                if not request.is_over:
                    request.error = error
            self._changed.notify_all()

    def _drop_ended(self) -> bool:
        """Whether anything is left to do."""
        self._waiting = deque(r for r in self._waiting if not r.is_over and r.taken < len(r.crops))
        return bool(self._waiting)

    def _gather(self) -> list[tuple[_Request, int, int]]:
        """Ranges of crops for the next batch: the oldest request's, filled up by others of the same shape."""
        shape = self._waiting[0].shape
        left = self._limits.get(shape, self._waiting[0].batch)
        parts = []
        for request in self._waiting:
            if request.shape == shape and left:
                count = min(left, len(request.crops) - request.taken)
                parts.append((request, request.taken, request.taken + count))
                request.taken += count
                left -= count
        return parts

    def _attempt(self, parts: list[tuple[_Request, int, int]]) -> Answer | Exception | None:
        """Answers to a batch; None where it has to be tried again, smaller."""
        first = parts[0][0]
        size = self._limits.get(first.shape, first.batch)
        batch = Batch([request.crops[start:stop] for request, start, stop in parts], size, first.threads)
        try:
            return self._timed(first.network, batch)
        except OutOfMemory as error:
            metrics.OUT_OF_MEMORY.inc()
            if size == 1:
                name = first.network.name
                return Internal(f"{name}: not even one crop fits into the device's memory: {error}")
        except Exception as error:  # noqa: BLE001 - whatever a network raises belongs to those who asked it
            return error
        self._limits[first.shape] = size // 2
        return None

    def _timed(self, network: Network, batch: Batch) -> Answer:
        began = time.perf_counter()
        # On the processor a batch takes a place as other work does.
        with self._processors.taken() if is_processor(self.device) else nullcontext():
            answer = network(batch)
        metrics.BATCH_SECONDS.observe(time.perf_counter() - began)
        metrics.CROPS.inc(batch.filled)
        metrics.BATCH_FILL.observe(batch.filled / batch.size)
        return answer

    def _scatter(self, parts: list[tuple[_Request, int, int]], outcome: Answer | Exception | None) -> None:
        """Hands a batch's results to its requests; what is to be tried again waits at the front, in its order."""
        place = 0
        for request, start, stop in parts:
            if outcome is None:
                request.taken = min(request.taken, start)
            elif isinstance(outcome, Exception):
                request.error = outcome
            else:
                here = slice(place, place := place + stop - start)
                maps = outcome.maps[here]
                request.maps.extend(maps if len(request.crops) <= KEPT_CROPS else on_host(maps))
                request.styles.append(outcome.styles[here])
                if outcome.features is not None:
                    request.features.append(outcome.features[here])
                request.done += stop - start
