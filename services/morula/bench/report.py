"""Figures beside the bounds they must hold."""

from __future__ import annotations

import operator
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_OPERATORS = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Case:
    """One figure; `bound` is such as ">=50", None where the figure is only shown."""

    name: str
    value: float
    unit: str
    bound: str | None = None
    interval: tuple[float, float] | None = None
    """Of 95 %, where there is one."""

    @property
    def holds(self) -> bool:
        if self.bound is None:
            return True
        return bool(_OPERATORS[self.bound[:2]](self.value, float(self.bound[2:])))

    def as_json(self) -> dict[str, Any]:
        interval = {} if self.interval is None else {"interval": list(self.interval)}
        return {
            "name": self.name,
            "value": self.value,
            **interval,
            "unit": self.unit,
            "bound": self.bound,
            "holds": self.holds,
        }


def against(name: str, theirs: float, ours: float, unit: str, bound: str | None = None) -> list[Case]:
    """Two ways to the same, and how many times as fast ours is."""
    return [
        Case(f"{name}: stock", round(theirs, 4), unit),
        Case(f"{name}: ours", round(ours, 4), unit),
        Case(f"{name}: times stock", round(theirs / ours, 2), "x", bound),
    ]


@dataclass(frozen=True)
class Report:
    """All figures of one stage on this machine."""

    stage: str
    cases: list[Case]
    left_out: tuple[str, ...] = ()
    """What was not measured, and why."""
    said: tuple[str, ...] = ()
    """What the figures say, in words."""

    @property
    def holds(self) -> bool:
        return all(case.holds for case in self.cases)

    def as_json(self) -> dict[str, Any]:
        return {"stage": self.stage, "machine": machine(), "cases": [case.as_json() for case in self.cases],
                "left_out": list(self.left_out), "said": list(self.said)}  # fmt: skip


def machine() -> str:
    """The machine in words: processor, cores that we may use, memory."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    cores = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count()
    return f"{processor}, {cores} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB"
