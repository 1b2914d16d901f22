"""What a run says while it goes on: one line of JSON for each step and each look at the scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from morula.common.errors import StorageFull
from morula.training import checkpoint

NAME = "progress.jsonl"


class Progress:
    """Lines of one run; those after the step from which it goes on are dropped."""

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / NAME
        kept = [line for line in read(folder) if line["step"] <= step]
        checkpoint.write_whole(self._path, "".join(f"{json.dumps(line)}\n" for line in kept).encode())

    def step(self, step: int, loss: float, rate: float, seconds: float) -> None:
        self._add({"step": step, "loss": loss, "rate": rate, "seconds": round(seconds, 3)})

    def scores(self, step: int, scores: Mapping[str, float]) -> None:
        self._add({"step": step, "scores": scores})

    def _add(self, line: dict[str, Any]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise StorageFull(f"{self._path} cannot be written: {error.strerror}; the checkpoint is kept") from error


def read(folder: Path) -> list[dict[str, Any]]:
    """Lines so far; one that a kill cut off is left out."""
    path = folder / NAME
    if not path.exists():
        return []
    text = path.read_text("utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
