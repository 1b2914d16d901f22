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
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from morula.common.compute import Checkpoint, Processors
from morula.common.errors import Cancelled, Internal, ModelUnavailable
from morula.networks import metrics
from morula.networks.dtypes import Dtype

Crops = NDArray[np.float32]
# Outputs of a request with more crops (an image larger than any region) are moved off the device.
KEPT_CROPS = 512


class Network(Protocol):
    """Sees crops (n, channels, height, width); says (n, 3, height, width), and a style vector (n, width) of each.

    It computes in float32 unless it is Changing.
    """

    name: str

    def __call__(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...


@runtime_checkable
class Changing(Protocol):
    """A network that can compute in several dtypes."""

    def in_dtype(self, dtype: Dtype) -> Network:
        """The network in a dtype; always the same object, so that requests share batches."""
        ...


def computing_in(network: Network, dtype: Dtype) -> Network:
    """The network in this dtype; an error where it has none such."""
    if isinstance(network, Changing):
        return network.in_dtype(dtype)
    if dtype not in ("", "float32"):
        raise ModelUnavailable(f"{network.name} computes in float32, not in {dtype}", model=network.name)
    return network


@dataclass(eq=False)
class _Request:
    """Crops of one caller, and the outputs so far."""

    network: Network
    crops: Crops
    batch: int
    threads: int
    outputs: list[torch.Tensor] = field(default_factory=list)
    styles: list[Crops] = field(default_factory=list)
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


class CropQueue:
    """Owns a device: a thread of its own runs batch after batch while there are crops."""

    def __init__(self, device: str = "cpu", batch: int = 0, processors: Processors | None = None) -> None:
        self.device = torch.device(device)
        self.batch = batch or (64 if self.device.type == "cuda" else 1)
        self._processors = processors or Processors()
        self._waiting: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._limits: dict[tuple[object, ...], int] = {}
        self._callers = 0
        self._is_closed = False
        self._worker = threading.Thread(target=self._work, name="crops", daemon=True)
        self._worker.start()

    def run(
        self, network: Network, crops: Crops, checkpoint: Checkpoint, batch: int = 0, threads: int = 0
    ) -> tuple[Sequence[torch.Tensor], Crops]:
        """What the network says of crops, in their order: outputs, which stay on the device, and styles.

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
        return request.outputs, np.concatenate(request.styles)

    @property
    def waiting(self) -> int:
        """The number of callers that are not answered yet."""
        return self._callers

    def check(self) -> bool:
        """Whether the device still computes."""
        ones = torch.ones(8, 8, device=self.device)
        return bool((ones @ ones).sum().item() == 512.0)

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

    def _attempt(self, parts: list[tuple[_Request, int, int]]) -> tuple[torch.Tensor, Crops] | Exception | None:
        """Outputs and styles of a batch; None where it has to be tried again, smaller."""
        first = parts[0][0]
        size = self._limits.get(first.shape, first.batch)
        try:
            torch.set_num_threads(first.threads)
            return self._forward(first.network, *self._pack(parts, size))
        except torch.OutOfMemoryError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a network raises belongs to those who asked it
            return error
        # Not in the except block above: there the error still holds the tensors that did not fit.
        metrics.OUT_OF_MEMORY.inc()
        if size == 1:
            return Internal(f"{first.network.name}: not even one crop fits into the device's memory: {reason}")
        self._limits[first.shape] = size // 2
        torch.cuda.empty_cache()
        return None

    def _pack(self, parts: list[tuple[_Request, int, int]], size: int) -> tuple[torch.Tensor, int]:
        """A batch of so many crops, and how many are filled. A device copies at full speed from pinned memory."""
        shape = parts[0][0].crops.shape[1:]
        batch = torch.zeros((size, *shape), pin_memory=self.device.type == "cuda")
        filled = 0
        for request, start, stop in parts:
            batch[filled : filled + stop - start] = torch.from_numpy(request.crops[start:stop])
            filled += stop - start
        return batch, filled

    def _forward(self, network: Network, batch: torch.Tensor, filled: int) -> tuple[torch.Tensor, Crops]:
        began = time.perf_counter()
        # On the processor a batch takes a place as other work does.
        place = self._processors.taken() if self.device.type == "cpu" else nullcontext()
        with place, torch.inference_mode():
            outputs, styles = network(batch.to(self.device, non_blocking=True))
            # Copied, because a slice would keep the memory of the whole batch.
            answer = outputs[:filled].float().clone(), styles[:filled].float().cpu().numpy()
            if self.device.type == "cuda":
                torch.cuda.current_stream(self.device).synchronize()
        metrics.BATCH_SECONDS.observe(time.perf_counter() - began)
        metrics.CROPS.inc(filled)
        metrics.BATCH_FILL.observe(filled / len(batch))
        return answer

    def _scatter(
        self, parts: list[tuple[_Request, int, int]], outcome: tuple[torch.Tensor, Crops] | Exception | None
    ) -> None:
        """Hands a batch's results to its requests; what is to be tried again waits at the front, in its order."""
        place = 0
        for request, start, stop in parts:
            if outcome is None:
                request.taken = min(request.taken, start)
            elif isinstance(outcome, Exception):
                request.error = outcome
            else:
                count = stop - start
                outputs = outcome[0][place : place + count]
                request.outputs.extend(outputs if len(request.crops) <= KEPT_CROPS else outputs.cpu())
                request.styles.append(outcome[1][place : place + count])
                request.done += count
                place += count
