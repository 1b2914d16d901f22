"""A pod that joins late gets its share: callers look for new pods when their connections age."""

from __future__ import annotations

import re
import time
from pathlib import Path

import httpx

from tests.chaos.door import ENDED, Door
from tests.cluster.kubernetes import Json, is_ready, wait_until
from tests.cluster.release import MAX_CONNECTION_AGE_S, Release

CALLS = re.compile(r"^morula_rpc_calls_total\{.*SegmentShard.*\} (\S+)$", re.MULTILINE)
SLACK_S = 20
"""For a shard that is being computed while connections age."""


def play(release: Release, door: Door, slides: list[Path]) -> dict[str, object]:
    """Two segmenters are at work when a third comes."""
    release.upgrade({"segmenter": {"replicas": 2, "autoscaling": {"mode": "none"}}})
    job_ids = [door.submit(door.upload(slide)) for slide in slides]
    first = {pod["metadata"]["name"] for pod in release.pods("segmenter")}
    wait_until("two segmenters are called", lambda: all(_calls(pod) for pod in release.pods("segmenter")))
    release.namespace.kubectl("scale", f"deployment/{release.name}-segmenter", "--replicas=3")
    wait_until("a third segmenter is ready", lambda: sum(map(is_ready, release.pods("segmenter"))) == 3)
    began = time.monotonic()
    third = next(pod for pod in release.pods("segmenter") if pod["metadata"]["name"] not in first)
    wait_until(
        "the third segmenter is called",
        lambda: _calls(third) > 0 or all(door.job(job_id)["state"] in ENDED for job_id in job_ids),
    )
    seconds = time.monotonic() - began
    calls = {pod["metadata"]["name"]: _calls(pod) for pod in release.pods("segmenter")}
    jobs = [door.ended(job_id) for job_id in job_ids]
    problems = [f"{job['state']}: {job['error']}" for job in jobs if job["state"] != "succeeded"]
    if not _calls(third):
        problems.append("the third segmenter was never called")
    elif seconds > MAX_CONNECTION_AGE_S + SLACK_S:
        problems.append(f"the third segmenter was called only after {seconds:.0f} s")
    release.upgrade({})
    return {"called_after_s": round(seconds), "calls_by_then": calls, "problems": problems}


def _calls(pod: Json) -> float:
    """Shards that this pod was asked to segment and has answered."""
    try:
        text = httpx.get(f"http://{pod['status']['podIP']}:9090/metrics", timeout=5, trust_env=False).text
    except (KeyError, httpx.TransportError):
        return 0.0
    return sum(float(count) for count in CALLS.findall(text))
