"""kubectl and helm on one namespace."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
PATIENCE_S = 600.0
POLL_S = 0.5
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


class CommandFailed(RuntimeError):
    """A command that ended with an error, in its own words."""


@dataclass(frozen=True)
class Namespace:
    """Where a release lives; KUBECONFIG says in which cluster."""

    name: str

    def create(self) -> None:
        """With the strictest of the standard pod securities enforced."""
        labels = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": RESTRICTED}}
        self.kubectl("apply", "--filename=-", stdin=json.dumps(labels))

    def delete(self) -> None:
        self.kubectl("delete", "namespace", self.name, "--wait=true", "--timeout=180s")

    def kubectl(self, *command: str, stdin: str | None = None) -> str:
        return run("kubectl", "--namespace", self.name, *command, stdin=stdin)

    def helm(self, *command: str) -> str:
        return run("helm", "--namespace", self.name, *command)

    def get(self, kinds: str, selector: str = "") -> list[Json]:
        """Objects of these kinds, those with the labels of the selector."""
        chosen = ["--selector", selector] if selector else []
        items: list[Json] = json.loads(self.kubectl("get", kinds, *chosen, "--output=json"))["items"]
        return items

    def apply(self, *objects: Json) -> None:
        for each in objects:
            self.kubectl("apply", "--filename=-", stdin=json.dumps(each))

    def secret(self, name: str, **values: str) -> None:
        """A secret; `_` in the name of a value is `-` in its key."""
        data = {key.replace("_", "-"): value for key, value in values.items()}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})


def run(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S + 60, check=False, input=stdin)
    if done.returncode:
        raise CommandFailed(f"{' '.join(command[:6])}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def wait_until(what: str, holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> float:
    """Until it holds; how many seconds that took."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > patience_s:
            raise TimeoutError(f"not in {patience_s:.0f} s: {what}")
        time.sleep(POLL_S)
    return time.monotonic() - began


def is_ready(pod: Json) -> bool:
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]
