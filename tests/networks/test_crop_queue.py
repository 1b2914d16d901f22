"""The crop queue: shared batches of one shape, results in order, callers that leave, memory that runs out."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from morula.common.compute import Processors, go_on
from morula.common.errors import Cancelled, Internal, ModelUnavailable
from morula.networks import metrics
from morula.networks.crop_queue import KEPT_CROPS, CropQueue, Seen
from morula.networks.network import Answer, Batch, OutOfMemory, computing_in

PATIENCE_S = 120


class Doubling:
    """Says twice what it sees; records sizes of batches; waits where it is told to; holds so many crops."""

    def __init__(self, holds: int = 1000) -> None:
        self.name = "doubling"
        self.batches: list[int] = []
        self.threads: list[int] = []
        self.holds = holds
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def __call__(self, batch: Batch) -> Answer:
        self.entered.set()
        assert self.go_on.wait(PATIENCE_S)
        if batch.size > self.holds:
            raise OutOfMemory("no memory left")
        self.batches.append(batch.size)
        self.threads.append(batch.threads)
        crops = batch.packed()
        assert not crops[batch.filled :].any()
        crops = crops[: batch.filled]
        return Answer(crops * 2, crops[:, 0, :1, 0], crops[:, :, ::4, ::4].astype(np.float16))


@pytest.fixture
def queue() -> Iterator[CropQueue]:
    opened = CropQueue("cpu", batch=4, processors=Processors(1))
    yield opened
    opened.close()


def stacked(seen: Seen) -> np.ndarray:
    return np.stack(list(seen.maps))


def numbered(count: int, start: int = 0) -> np.ndarray:
    return np.arange(start, start + count, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 4, 4), np.float32)


def test_a_network_computes_with_as_many_threads_as_are_asked_for(queue: CropQueue) -> None:
    """Sums of another order end in other digits."""
    network = Doubling()
    for threads in (3, 1, 0, 2):
        queue.run(network, numbered(1), go_on, threads=threads)
    assert network.threads == [3, 1, 1, 2]


def test_a_network_of_float32_computes_in_nothing_else() -> None:
    network = Doubling()
    assert [computing_in(network, dtype) for dtype in ("", "float32")] == [network, network]
    with pytest.raises(ModelUnavailable, match="doubling computes in float32, not in bfloat16"):
        computing_in(network, "bfloat16")


def test_results_are_in_order_and_batches_of_one_shape(queue: CropQueue) -> None:
    network = Doubling()
    seen = queue.run(network, numbered(10), go_on)
    assert np.array_equal(stacked(seen), numbered(10) * 2)
    assert seen.styles.ravel().tolist() == list(range(10))
    assert seen.features is not None
    assert np.array_equal(seen.features, numbered(10)[:, :, :1, :1])
    assert network.batches == [4, 4, 4]


def test_crops_of_several_callers_share_batches(queue: CropQueue) -> None:
    network = Doubling()
    network.go_on.clear()
    results: dict[int, np.ndarray] = {}

    def ask(start: int) -> None:
        results[start] = stacked(queue.run(network, numbered(3, start), go_on))

    callers = [threading.Thread(target=ask, args=(start,)) for start in (0, 100, 200)]
    callers[0].start()
    assert network.entered.wait(PATIENCE_S)
    for caller in callers[1:]:
        caller.start()
    while queue.waiting < 3:
        pass
    network.go_on.set()
    for caller in callers:
        caller.join()
    assert network.batches == [4, 4, 4]  # three of the first alone; the other six share two
    assert all(np.array_equal(found, numbered(3, start) * 2) for start, found in results.items())


def test_memory_that_runs_out_halves_the_batch_and_is_counted(queue: CropQueue) -> None:
    network = Doubling(holds=1)
    before = metrics.OUT_OF_MEMORY._value.get()
    assert np.array_equal(stacked(queue.run(network, numbered(5), go_on)), numbered(5) * 2)
    assert set(network.batches) == {1}
    assert metrics.OUT_OF_MEMORY._value.get() == before + 2


def test_a_crop_that_never_fits_is_an_error(queue: CropQueue) -> None:
    with pytest.raises(Internal, match="not even one crop"):
        queue.run(Doubling(holds=0), numbered(2), go_on)


def test_what_a_network_raises_reaches_its_caller_only(queue: CropQueue) -> None:
    class Broken(Doubling):
        def __call__(self, batch: Batch) -> Answer:
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        queue.run(Broken(), numbered(2), go_on)
    assert len(queue.run(Doubling(), numbered(2), go_on).maps) == 2


def test_an_error_outside_the_network_reaches_who_waits_and_the_queue_goes_on(queue: CropQueue) -> None:
    class Away(Doubling):
        """Its outputs cannot be moved off the device, as when that is lost."""

        def __call__(self, batch: Batch) -> Answer:
            return super().__call__(batch)._replace(maps=Lost())

    class Lost:
        def __getitem__(self, _: slice) -> "Lost":
            return self

        def cpu(self) -> np.ndarray:
            raise NotImplementedError

    raised: list[BaseException] = []

    def ask() -> None:
        try:
            queue.run(Away(), numbered(KEPT_CROPS + 1), go_on)
        except NotImplementedError as error:
            raised.append(error)

    caller = threading.Thread(target=ask, daemon=True)
    caller.start()
    caller.join(PATIENCE_S)
    assert len(raised) == 1
    assert len(queue.run(Doubling(), numbered(2), go_on).maps) == 2


def test_a_caller_leaves_between_batches(queue: CropQueue) -> None:
    left = threading.Event()

    class Long(Doubling):
        def __call__(self, batch: Batch) -> Answer:
            assert not self.batches or left.wait(PATIENCE_S)
            return super().__call__(batch)

    network = Long()

    def checkpoint() -> None:
        if network.batches:
            left.set()
            raise Cancelled

    with pytest.raises(Cancelled):
        queue.run(network, numbered(400), checkpoint)
    assert len(queue.run(Doubling(), numbered(1), go_on).maps) == 1
    assert len(network.batches) < 100


def test_two_networks_at_once(queue: CropQueue) -> None:
    found: list[np.ndarray] = []
    callers = [
        threading.Thread(target=lambda: found.append(stacked(queue.run(Doubling(), numbered(9), go_on))))
        for _ in range(2)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(np.array_equal(outputs, numbered(9) * 2) for outputs in found)
    assert len(found) == 2


def test_the_device_is_asked_for_a_sum(queue: CropQueue) -> None:
    assert queue.check()


def test_a_closed_queue_takes_nothing() -> None:
    queue = CropQueue("cpu", processors=Processors(1))
    queue.close()
    with pytest.raises(Cancelled):
        queue.run(Doubling(), numbered(1), go_on)
