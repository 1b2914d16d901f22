"""The engine, on an objective that knows nothing of cells: a plane is fitted to points."""

from __future__ import annotations

import math
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morula.common.errors import FailedPrecondition, InvalidArgument, StorageFull
from morula.training import checkpoint, progress
from morula.training.config import Schedule
from morula.training.engine import BEST, Engine, Outcome, rate_at

SCHEDULE = Schedule(steps=12, batch=8, parts=2, rate=0.05, warm_up=3, decay=4, save_every=4, watch_every=3)


class Stopped(Exception):
    """What stands for a kill: nothing runs after it."""


@dataclass
class Fitting:
    """y = 2 x - 1, seen through a norm; `kill_at` is the step whose batch never comes."""

    kill_at: int = -1
    nan_at: int = -1
    scores: tuple[float, ...] = ()

    def network(self) -> nn.Module:
        torch.manual_seed(1)
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))

    def batch(self, step: int) -> Tensor:
        if step == self.kill_at:
            raise Stopped
        values = np.random.default_rng([7, step]).standard_normal((8, 1, 6, 6), np.float32)
        return torch.from_numpy(values * (np.float32(np.nan) if step == self.nan_at else 1))

    def parts(self, batch: Tensor, count: int, device: torch.device) -> list[Tensor]:
        return list(batch.to(device).chunk(count))

    def loss(self, network: nn.Module, batch: Tensor) -> Tensor:
        return ((network(batch).float() - (2 * batch - 1)) ** 2).mean()

    def watch(self, network: nn.Module) -> dict[str, float]:
        if self.scores:
            first, *rest = self.scores
            self.scores = (*rest, first)
            return {"score": first}
        with torch.no_grad():
            return {"score": -float(self.loss(network, self.batch(10_000)))}


def run(folder: Path, objective: Fitting, schedule: Schedule = SCHEDULE) -> Outcome:
    folder.mkdir(exist_ok=True)
    return Engine(objective, schedule, {}, folder, threading.Event()).run()


def losses(folder: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["loss"]) for line in progress.read(folder) if "loss" in line]


def test_it_learns_and_keeps_the_best_weights(tmp_path: Path) -> None:
    outcome = run(tmp_path, Fitting(), SCHEDULE.model_copy(update={"steps": 60}))
    values = [loss for _, loss in losses(tmp_path)]
    assert outcome.end == "done"
    assert outcome.step == 60
    assert np.mean(values[-5:]) < np.mean(values[:5]) / 2
    assert (tmp_path / BEST).exists()
    scores = [line["scores"]["score"] for line in progress.read(tmp_path) if "scores" in line]
    assert outcome.best_score == max(scores)
    assert outcome.best_step == 3 * (1 + int(np.argmax(scores)))


@pytest.mark.parametrize("kill_at", [2, 7, 11])
def test_a_killed_run_goes_on_with_the_same_losses(tmp_path: Path, kill_at: int) -> None:
    run(tmp_path / "whole", Fitting())
    with pytest.raises(Stopped):
        run(tmp_path / "killed", Fitting(kill_at=kill_at))
    outcome = run(tmp_path / "killed", Fitting())
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert (tmp_path / "killed" / BEST).read_bytes() == (tmp_path / "whole" / BEST).read_bytes()
    assert outcome == replace(outcome, end="done", step=12)


def test_a_run_that_is_told_to_stop_saves_where_it_stands(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    assert Engine(Fitting(), SCHEDULE, {}, tmp_path, stop).run().end == "stopped"
    assert checkpoint.load(tmp_path) is not None


def test_what_does_not_get_better_ends(tmp_path: Path) -> None:
    outcome = run(tmp_path, Fitting(scores=(0.3, 0.2, 0.1, 0.1)), SCHEDULE.model_copy(update={"patience": 2}))
    assert outcome == Outcome("no better", 9, 3, 0.3)


def test_a_loss_that_is_no_number_ends_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"no longer a number at step 6.*checkpoint"):
        run(tmp_path, Fitting(nan_at=6))
    state = checkpoint.load(tmp_path)
    assert state is not None
    assert state["step"] == 4
    assert all(math.isfinite(float(tensor.float().sum())) for tensor in state["network"].values())


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """A disk that takes no more: writing fails as it does on a full one."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path, Fitting(kill_at=6))
    before = (tmp_path / checkpoint.NAME).read_bytes()
    with files_no_larger_than(3000), pytest.raises(StorageFull, match="cannot be written"):
        run(tmp_path, Fitting())
    assert (tmp_path / checkpoint.NAME).read_bytes() == before
    assert run(tmp_path, Fitting()).end == "done"
    assert not list(tmp_path.glob(".*"))


def test_another_network_does_not_go_on_with_the_checkpoint(tmp_path: Path) -> None:
    run(tmp_path, Fitting())

    class Wider(Fitting):
        def network(self) -> nn.Module:
            return nn.Sequential(nn.Conv2d(1, 1, 5, padding=2))

    with pytest.raises(FailedPrecondition, match="another network"):
        Engine(Wider(), SCHEDULE, {}, tmp_path, threading.Event())


def test_what_is_fixed_does_not_change_in_a_folder(tmp_path: Path) -> None:
    stop = threading.Event()
    fixed = {"objective": "fitting", "diameter_px": 17.0}
    assert Engine(Fitting(), SCHEDULE, fixed, tmp_path, stop).run().end == "done"
    for name, value in (("objective", "other"), ("diameter_px", 30.0)):
        with pytest.raises(FailedPrecondition, match=rf"another network \({name} was {fixed[name]}\): take another"):
            Engine(Fitting(), SCHEDULE, {**fixed, name: value}, tmp_path, stop)
    assert Engine(Fitting(), SCHEDULE, fixed, tmp_path, stop).run().step == 12


def test_a_checkpoint_that_tells_nothing_is_known_by_what_is_not_learned(tmp_path: Path) -> None:
    class Sized(Fitting):
        size_px = 17.0

        def network(self) -> nn.Module:
            network = super().network()
            network.register_parameter("size", nn.Parameter(torch.tensor([self.size_px]), requires_grad=False))
            return network

    run(tmp_path, Sized())
    state = checkpoint.load(tmp_path)
    assert state is not None
    checkpoint.save(tmp_path, {name: value for name, value in state.items() if name not in ("fixed", "format")})
    assert run(tmp_path, Sized()).step == 12
    Sized.size_px = 30.0
    with pytest.raises(FailedPrecondition, match=r"another network \(size\)"):
        run(tmp_path, Sized())


@pytest.mark.parametrize("kept", [0, 200])
def test_a_damaged_checkpoint_is_told(kept: int, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"step": 1})
    path = tmp_path / checkpoint.NAME
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InvalidArgument, match="is damaged"):
        checkpoint.load(tmp_path)


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    torch.save({"format": 0}, tmp_path / checkpoint.NAME)
    with pytest.raises(InvalidArgument, match="another version"):
        Engine(Fitting(), SCHEDULE, {}, tmp_path, threading.Event())


def test_rates_rise_stay_and_fall() -> None:
    rates = [rate_at(SCHEDULE, step) / SCHEDULE.rate for step in range(12)]
    assert rates == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
