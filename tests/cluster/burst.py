"""A burst of slides, then silence: every stage goes from no pod to many and back, and nothing is lost on the way."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.door import ENDED, Door
from tests.cluster.kubernetes import is_ready, wait_until
from tests.cluster.release import Release

SLEEPERS = ("tiler", "segmenter", "embedder", "clusterer", "evaluator")
"""Stages that are scaled to nothing; a person's key must not wait for the labeller's."""
WORKERS_OF_A_JOB = ("tiler", "segmenter", "embedder", "clusterer")


@dataclass
class Watch(threading.Thread):
    """How many pods of each stage were ready, over time."""

    release: Release
    seen: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._stopping = threading.Event()
        self._began = time.monotonic()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        while not self._stopping.wait(1.0):
            now = round(time.monotonic() - self._began, 1)
            pods = self.release.namespace.get("pods", self.release.selector())
            for stage in SLEEPERS:
                label = "app.kubernetes.io/component"
                ready = sum(is_ready(pod) for pod in pods if pod["metadata"]["labels"].get(label) == stage)
                if not self.seen[stage] or self.seen[stage][-1][1] != ready:
                    self.seen[stage].append((now, ready))

    def stop(self) -> None:
        self._stopping.set()
        self.join()


def play(release: Release, door: Door, slides: list[Path]) -> dict[str, object]:
    """Upload all at once from silence; wait until all have ended and all pods have gone again."""
    wait_until("every stage sleeps", lambda: _sleeping(release))
    watch = Watch(release)
    watch.start()
    began = time.monotonic()
    job_ids = [door.submit(door.upload(slide)) for slide in slides]
    jobs = [door.ended(job_id) for job_id in job_ids]
    ended_s = time.monotonic() - began
    asleep_s = ended_s + wait_until("every stage sleeps again", lambda: _sleeping(release))
    watch.stop()
    problems = [f"{job['state']}: {job['error']}" for job in jobs if job["state"] != "succeeded"]
    problems += [f"{stage} had no pod" for stage in WORKERS_OF_A_JOB if _most(watch, stage) == 0]
    return {
        "slides": len(jobs),
        "ended_s": round(ended_s),
        "asleep_s": round(asleep_s),
        "most_pods": {stage: _most(watch, stage) for stage in SLEEPERS},
        "ready_over_time": dict(watch.seen),
        "problems": [*problems, *(f"not ended: {job['id']}" for job in jobs if job["state"] not in ENDED)],
    }


def _sleeping(release: Release) -> bool:
    return all(not release.pods(stage) for stage in SLEEPERS)


def _most(watch: Watch, stage: str) -> int:
    return max((count for _, count in watch.seen[stage]), default=0)
