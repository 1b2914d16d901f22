"""What happens to pods, and to what they need, while a job runs: it ends as if nothing had happened."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.door import ENDED, Door
from tests.cluster.kubernetes import wait_until
from tests.cluster.release import COMPONENTS, Release

AWAY_S = 5.0
Fault = Callable[[Release], str]


def delete_pod(component: str) -> Fault:
    """A pod of the component, at once and with no time to end."""

    def strike(release: Release) -> str:
        pods = release.pods(component)
        if not pods:
            return "had no pod"
        name = str(random.choice(pods)["metadata"]["name"])
        release.namespace.kubectl("delete", "pod", name, "--grace-period=0", "--force", "--wait=false")
        return name

    return strike


def drain_node(release: Release) -> str:
    """As before maintenance: every pod is asked to leave, and comes back once the node may be used again."""
    node = str(release.pods("api")[0]["spec"]["nodeName"])
    release.namespace.kubectl(
        "drain", node, "--delete-emptydir-data", "--ignore-daemonsets", "--timeout=300s",
        f"--pod-selector=app.kubernetes.io/instance={release.name}", "--disable-eviction=false",
    )  # fmt: skip
    release.namespace.kubectl("uncordon", node)
    return node


def restart_all(release: Release) -> str:
    """A rolling restart of everything."""
    for kind in ("deployment", "statefulset"):
        release.namespace.kubectl("rollout", "restart", kind, f"--selector={release.selector()}")
    release.wait_until_ready()
    return "rolled out"


def upgrade(release: Release) -> str:
    """Another release of the chart, whose pods differ, then back to the first by `helm rollback`."""
    release.upgrade({"defaults": {"podAnnotations": {"tests.example/restarted": str(time.time_ns())}}})
    release.namespace.helm("rollback", release.name, "--force-conflicts", "--wait", "--timeout=10m")
    return "upgraded and rolled back"


def database_away(release: Release) -> str:
    release.ground.database_away(AWAY_S)
    return f"{AWAY_S:.0f} s"


def store_away(release: Release) -> str:
    release.ground.store_away(AWAY_S)
    return f"{AWAY_S:.0f} s"


def conductor_for_good(release: Release) -> str:
    """The conductor that has the job is killed, and no pod of its name comes back."""
    name = release.conductor_at_work()
    number = int(name.rpartition("-")[2])
    # The pods that stay are those from `start` on, `replicas` of them.
    stays = {"spec": {"replicas": 1, "ordinals": {"start": 1 - number}}}
    release.namespace.kubectl("patch", f"statefulset/{release.name}-conductor", f"--patch={json.dumps(stays)}")
    release.namespace.kubectl("delete", "pod", name, "--grace-period=0", "--force", "--wait=false")
    return name


FAULTS: dict[str, Fault] = {
    **{f"{component} deleted": delete_pod(component) for component in COMPONENTS},
    "node drained": drain_node,
    "rolling restart": restart_all,
    "upgrade and rollback": upgrade,
    "PostgreSQL restarted": database_away,
    "S3 restarted": store_away,
    "one of two conductors killed for good": conductor_for_good,
}


def play(release: Release, door: Door, slide: Path, fault: str, digest: str) -> dict[str, object]:
    """One job under one fault; `problems` is empty where it ended as it must."""
    began = time.monotonic()
    job_id = door.submit(door.upload(slide))
    door.wait_for(job_id, random.uniform(0.1, 0.7))
    told = FAULTS[fault](release) if door.job(job_id)["state"] not in ENDED else "too late: the job had ended"
    job = door.ended(job_id)
    problems = [] if job["result_digest"] == digest else [f"{job['state']}: {job['error'] or 'another result'}"]
    problems += [told] if told.startswith(("too late", "had no pod")) else []
    problems += door.wrong
    door.wrong.clear()
    seconds = time.monotonic() - began
    release.wait_until_ready()
    forget(release, door, job)
    return {"fault": fault, "told": told, "seconds": round(seconds), "problems": problems}


def forget(release: Release, door: Door, job: dict[str, object]) -> None:
    """Delete job and slide with all that they left, so that the next job makes everything anew."""
    door.ask("DELETE", f"/v1/jobs/{job['id']}").raise_for_status()
    door.ask("DELETE", f"/v1/slides/{job['slide_id']}").raise_for_status()
    wait_until("objects of a deleted slide go", lambda: not list(_artifacts(release)))


def _artifacts(release: Release) -> Iterator[str]:
    for stored in release.ground.store.list(""):
        if not stored.key.startswith("databases/"):
            yield stored.key


@contextmanager
def two_conductors(release: Release) -> Iterator[None]:
    """Another conductor beside the first."""
    release.upgrade({"conductor": {"replicas": 2}})
    try:
        yield
    finally:
        # Where one was killed for good, the names begin elsewhere.
        whole = {"spec": {"ordinals": None}}
        release.namespace.kubectl("patch", f"statefulset/{release.name}-conductor", f"--patch={json.dumps(whole)}")
        release.upgrade({})
