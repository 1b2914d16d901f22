"""The chart as helm renders it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "chart"
EXAMPLES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir())
Object = dict[str, Any]


def helm() -> str:
    """The program, in the version that `scripts/chart` names if that was built; without any the test is skipped."""
    pinned = re.search(r"cmd/helm@(\S+)", (ROOT / "scripts" / "chart").read_text("utf-8"))
    assert pinned
    built = ROOT / ".venv" / "cache" / "chart" / "bin" / f"helm-{pinned[1]}"
    found = shutil.which("helm", path=os.pathsep.join([str(built), os.environ["PATH"]]))
    if found is None:
        pytest.skip("helm is not here: `make chart` builds it where Go is")
    return found


def run(example: str, *chosen: str) -> subprocess.CompletedProcess[str]:
    """What helm says to an example with some values chosen."""
    values = str(CHART / "ci" / f"{example}-values.yaml")
    sets = [part for each in chosen for part in ("--set", each)]
    command = [helm(), "template", "morula", str(CHART), "--namespace", "lab", "--values", values, *sets]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@cache
def render(example: str, *chosen: str) -> list[Object]:
    """Every object of an example."""
    done = run(example, *chosen)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def find(objects: list[Object], kind: str, name: str) -> Object:
    return next(each for each in objects if each["kind"] == kind and each["metadata"]["name"] == f"morula-{name}")


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """The specification of every pod there would be."""
    for each in objects:
        if each["kind"] == "Pod":
            yield each["metadata"]["name"], each["spec"]
        elif each["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def containers(pod: Object) -> list[Object]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def env(objects: list[Object], kind: str, name: str) -> dict[str, str | None]:
    """Variables of the only container."""
    container = find(objects, kind, name)["spec"]["template"]["spec"]["containers"][0]
    return {each["name"]: each.get("value") for each in container["env"]}
