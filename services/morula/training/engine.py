"""Learning: steps of an optimiser on whatever an objective asks, from a checkpoint on where there is one.

Nothing here knows what is learned. A step's batch depends on nothing but its number, so a run that was killed goes on
as if it had not been: the losses are the same.
"""

from __future__ import annotations

import copy
import json
import math
import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from morula.common.errors import FailedPrecondition
from morula.networks.torch_runtime import fast_dtype
from morula.training import checkpoint
from morula.training.config import Schedule
from morula.training.progress import Progress

BEST = "best.safetensors"
CHOSEN = "step_and_score"
"""Of the best weights, in their file."""

B = TypeVar("B")
End = Literal["done", "no better", "stopped"]


class Objective(Protocol[B]):
    """What is learned: one file each below `objectives`."""

    def network(self) -> nn.Module:
        """The network before the first step; always the same."""
        ...

    def batch(self, step: int) -> B:
        """What is learned from at a step; called on another thread."""
        ...

    def parts(self, batch: B, count: int, device: torch.device) -> list[B]:
        """The batch on its device, in parts of one size that are learned from side by side."""
        ...

    def loss(self, network: nn.Module, batch: B) -> Tensor: ...

    def watch(self, network: nn.Module) -> Mapping[str, float]:
        """Scores on what is not learned from; the highest `score` is the best."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and where the best weights came from."""

    end: End
    step: int
    best_step: int
    best_score: float


class Engine(Generic[B]):
    """One run in one folder. `fixed` is told by name and value: a checkpoint of which it is not true is refused."""

    def __init__(
        self,
        objective: Objective[B],
        schedule: Schedule,
        fixed: Mapping[str, str | float],
        folder: Path,
        stop: threading.Event,
        device: str = "cpu",
    ) -> None:
        self._fixed = fixed
        self._objective, self._schedule, self._folder, self._stop = objective, schedule, folder, stop
        self._device = torch.device(device)
        self._network = objective.network().to(device=self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = copy.deepcopy(self._network).eval()
        self._replicas = [copy.deepcopy(self._network) for _ in range(schedule.parts)]
        self._optimizer = _optimizer(self._network, schedule)
        self._step, self._best_step, self._best_score, self._worse = 0, 0, -math.inf, 0
        self._resume()
        self._progress = Progress(folder, self._step)

    def run(self) -> Outcome:
        """Until the last step, until nothing gets better, or until it is told to stop."""
        count = self._ahead_count()
        with ThreadPoolExecutor(count) as ahead, ThreadPoolExecutor(len(self._replicas), initializer=_alone) as beside:
            coming = deque(ahead.submit(self._objective.batch, self._step + n) for n in range(count))
            while self._step < self._schedule.steps:
                if self._stop.is_set():
                    for one in coming:
                        one.cancel()
                    self._save()
                    return self.outcome("stopped")
                batch = coming.popleft().result()
                coming.append(ahead.submit(self._objective.batch, self._step + count))
                self._learn(batch, beside)
                is_last = self._step == self._schedule.steps
                if is_last or self._step % self._schedule.watch_every == 0:
                    self._look()
                if is_last or self._step % self._schedule.save_every == 0:
                    self._save()
                if 0 < self._schedule.patience <= self._worse:
                    self._save()
                    return self.outcome("no better")
        return self.outcome("done")

    def outcome(self, end: End) -> Outcome:
        """Where the run stands."""
        return Outcome(end, self._step, self._best_step, self._best_score)

    def outcome_of_best(self) -> Outcome:
        """Where the run stands that learns no more: a killed one may have better weights than its last checkpoint."""
        if not (path := self._folder / BEST).exists():
            return self.outcome("stopped")
        with safetensors.safe_open(path, "pt") as file:
            told = file.metadata()
        if told is None:  # of a run from before it was told
            return self.outcome("stopped")
        step, score = json.loads(told[CHOSEN])
        return Outcome("stopped", max(step, self._step), step, score)

    def _ahead_count(self) -> int:
        """Batches that are made beside each other: an accelerator learns faster than one thread draws them."""
        return 1 if self._device.type == "cpu" else os.cpu_count() or 1

    def _learn(self, batch: B, beside: ThreadPoolExecutor) -> None:
        began = time.perf_counter()
        rate = rate_at(self._schedule, self._step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        parts = self._objective.parts(batch, len(self._replicas), self._device)
        losses = list(beside.map(self._backward, self._replicas, parts))
        loss = sum(losses) / len(losses)
        _gather(self._network, self._replicas)
        trained = [parameter for parameter in self._network.parameters() if parameter.requires_grad]
        norm = nn.utils.clip_grad_norm_(trained, self._schedule.clip or math.inf)
        if not math.isfinite(loss) or not math.isfinite(float(norm)):
            raise FailedPrecondition(
                f"the loss is no longer a number at step {self._step}: a lower rate than {rate:g} may help; "
                f"{checkpoint.NAME} in {self._folder} is of an earlier step"
            )
        self._optimizer.step()
        self._step += 1
        _approach(self._average, self._network, min(self._schedule.average, self._step / (self._step + 9)))
        self._progress.step(self._step, loss, rate, time.perf_counter() - began)

    def _backward(self, replica: nn.Module, part: B) -> float:
        """Gradients of a part of the batch, in a copy of the network."""
        _copy(replica, self._network)
        replica.train().zero_grad()
        with self._fast():
            loss = self._objective.loss(replica, part)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _look(self) -> None:
        with self._fast():
            scores = dict(self._objective.watch(self._average))
        self._progress.scores(self._step, scores)
        if scores["score"] > self._best_score:
            self._best_step, self._best_score, self._worse = self._step, scores["score"], 0
            state = {name: tensor.contiguous() for name, tensor in self._average.state_dict().items()}
            # One entry: of several the order, and with it the file, would be another each time.
            told = {CHOSEN: json.dumps([self._best_step, self._best_score])}
            checkpoint.write_whole(self._folder / BEST, safetensors.torch.save(state, told))
        else:
            self._worse += 1

    def _fast(self) -> torch.autocast:
        """Computes in what the device is fastest in; of this thread alone."""
        dtype = fast_dtype(self._device)
        return torch.autocast(self._device.type, dtype, enabled=dtype != torch.float32)

    def _save(self) -> None:
        checkpoint.save(self._folder, {
            "step": self._step,
            "fixed": dict(self._fixed),
            "best": [self._best_step, self._best_score, self._worse],
            "network": self._network.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        })  # fmt: skip

    def _resume(self) -> None:
        state = checkpoint.load(self._folder)
        if state is None:
            return
        if differing := self._differing(state):
            raise FailedPrecondition(
                f"{checkpoint.NAME} in {self._folder} is of another network ({differing}): take another folder"
            )
        try:
            self._network.load_state_dict(state["network"])
            self._average.load_state_dict(state["average"])
            self._optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise FailedPrecondition(
                f"{checkpoint.NAME} in {self._folder} is of another network: take another folder"
            ) from error
        self._step = state["step"]
        self._best_step, self._best_score, self._worse = state["best"]

    def _differing(self, state: Mapping[str, Any]) -> str:
        """What is not of this run; of a checkpoint from before it told, what is in its network and not learned."""
        if "fixed" in state:
            told = {name: value for name, value in state["fixed"].items() if name in self._fixed}
            return ", ".join(f"{name} was {value}" for name, value in told.items() if value != self._fixed[name])
        held = {name: tensor for name, tensor in self._network.named_parameters() if not tensor.requires_grad}
        there = {name: state["network"][name] for name in held if name in state["network"]}
        return ", ".join(name for name, tensor in there.items() if not torch.equal(tensor, held[name].cpu()))


def rate_at(schedule: Schedule, step: int) -> float:
    """Rises to the full rate over the warm-up, falls to nothing over the decay."""
    rising = (step + 1) / schedule.warm_up if step < schedule.warm_up else 1.0
    left = schedule.steps - step
    falling = left / (schedule.decay + 1) if left <= schedule.decay else 1.0
    return schedule.rate * min(rising, falling)


def _optimizer(network: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """Norms and biases are not drawn to zero."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [one for one in trained if one.ndim > 1], "weight_decay": schedule.weight_decay},
        {"params": [one for one in trained if one.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=schedule.rate)


def _alone() -> None:
    """Threads that work side by side have one processor each."""
    torch.set_num_threads(1)


@torch.no_grad()
def _copy(replica: nn.Module, network: nn.Module) -> None:
    for mine, theirs in zip(_tensors(replica), _tensors(network), strict=True):
        mine.copy_(theirs)


@torch.no_grad()
def _gather(network: nn.Module, replicas: Sequence[nn.Module]) -> None:
    """The mean of the replicas' gradients and of what their norms have seen, always added up in the same order."""
    for own, *theirs in zip(network.parameters(), *(one.parameters() for one in replicas), strict=True):
        grads = [their.grad for their in theirs]
        own.grad = None if grads[0] is None else torch.stack([g for g in grads if g is not None]).mean(dim=0)
    for own, *theirs in zip(network.buffers(), *(one.buffers() for one in replicas), strict=True):
        own.copy_(torch.stack(theirs).mean(dim=0) if own.is_floating_point() else theirs[0])


@torch.no_grad()
def _approach(average: nn.Module, network: nn.Module, kept: float) -> None:
    for mine, theirs in zip(_tensors(average), _tensors(network), strict=True):
        if mine.is_floating_point():
            mine.lerp_(theirs, 1 - kept)
        else:
            mine.copy_(theirs)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
