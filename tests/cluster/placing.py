"""Pods with a GPU go where GPUs are and wait when all are taken; on simulated nodes, fifty of them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.cluster.kubernetes import Json, is_ready, run, wait_until
from tests.cluster.release import CHART, Release

GPU = "nvidia.com/gpu"
FAKE = "kwok.x-k8s.io/node"


def play_real(release: Release) -> dict[str, object]:
    """One pod more than there are GPUs: it waits, and the others compute."""
    gpus = sum(_gpus(node) for node in release.namespace.get("nodes") if FAKE not in _annotations(node))
    if gpus == 0:
        return {"problems": ["no real node offers a GPU"]}
    release.upgrade(
        {
            "segmenter": {
                "image": {"name": "segmenter-torch"},
                "replicas": gpus + 1,
                "gpu": {"count": 1},
                "autoscaling": {"mode": "none"},
            }
        },
        wait=False,
    )
    wait_until("as many are ready as there are GPUs", lambda: _ready_with_gpu(release) == gpus)
    waiting = [pod for pod in release.pods("segmenter") if pod["status"]["phase"] == "Pending"]
    reasons = [each.get("message", "") for pod in waiting for each in pod["status"].get("conditions", [])]
    problems = [] if any(f"Insufficient {GPU}" in reason for reason in reasons) else [f"nobody waits: {reasons}"]
    release.upgrade({})
    return {"gpus": gpus, "ready": gpus, "waiting": len(waiting), "problems": problems}


def _ready_with_gpu(release: Release) -> int:
    pods = [pod for pod in release.pods("segmenter") if is_ready(pod)]
    return sum(GPU in pod["spec"]["containers"][0]["resources"].get("limits", {}) for pod in pods)


def play_simulated(release: Release) -> dict[str, object]:
    """The profile `gpu`, of which the segmenter has two pods more than simulated nodes have GPUs."""
    nodes = {
        node["metadata"]["name"]: _gpus(node) for node in release.namespace.get("nodes") if FAKE in _annotations(node)
    }
    if not nodes:
        return {"problems": ["no node is simulated"]}
    gpus = sum(nodes.values())
    deployment = _deployment_of_profile("gpu", replicas=gpus + 2)
    # The account of the release that is here: an account of its own would be one more thing to take away.
    deployment["spec"]["template"]["spec"]["serviceAccountName"] = release.name
    release.namespace.apply(deployment)
    selector = f"app.kubernetes.io/instance={deployment['metadata']['labels']['app.kubernetes.io/instance']}"

    def placed() -> list[str]:
        return [pod["spec"]["nodeName"] for pod in release.namespace.get("pods", selector) if "nodeName" in pod["spec"]]

    wait_until("all GPUs are taken", lambda: len(placed()) >= gpus)
    names = placed()
    problems = [f"on {name}, which offers none" for name in names if name not in nodes]
    problems += [f"{name} has too many" for name, count in nodes.items() if names.count(name) > count]
    pods = release.namespace.get("pods", selector)
    waiting = sum("nodeName" not in pod["spec"] for pod in pods)
    everyone = release.namespace.get("pods", release.selector())
    problems += [
        f"{pod['metadata']['name']} without a GPU is on {pod['spec']['nodeName']}"
        for pod in everyone
        if pod["spec"].get("nodeName") in nodes
    ]
    release.namespace.kubectl("delete", "deployment", deployment["metadata"]["name"], "--wait=true")
    return {"nodes": len(nodes), "gpus": gpus, "placed": len(names), "waiting": waiting, "problems": problems}


def _deployment_of_profile(profile: str, replicas: int) -> Json:
    values = CHART / "ci" / f"{profile}-values.yaml"
    only = "templates/workers/deployment.yaml"
    rendered = run("helm", "template", "placing", str(CHART), "--values", str(values), "--show-only", only)
    read = run("kubectl", "create", "--dry-run=client", "--output=json", "--filename=-", stdin=rendered)
    found = next(each for each in _documents(read) if each["metadata"]["name"].endswith("-segmenter"))
    found["spec"]["replicas"] = replicas
    del found["metadata"]["namespace"]
    return found


def _documents(text: str) -> Iterator[Json]:
    """JSON objects, one after the other."""
    while text := text.lstrip():
        document, end = json.JSONDecoder().raw_decode(text)
        yield document
        text = text[end:]


def _gpus(node: Json) -> int:
    return int(node["status"].get("allocatable", {}).get(GPU, "0"))


def _annotations(node: Json) -> dict[str, str]:
    found: dict[str, str] = node["metadata"].get("annotations", {})
    return found
