"""What runs is what the chart promises: no root, no token, nothing to write on, no compiler, no torch in vain."""

from __future__ import annotations

from collections.abc import Iterator

from tests.cluster.kubernetes import CommandFailed, Json
from tests.cluster.release import Release

COMPILERS = ("cc", "gcc", "g++", "clang", "make", "pip", "uv")
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def problems_of(release: Release) -> list[str]:
    """Everything that should not be so, of every pod of the release."""
    pods = release.namespace.get("pods", release.selector())
    return [f"{pod['metadata']['name']}: {problem}" for pod in pods for problem in _problems(release, pod)]


def _problems(release: Release, pod: Json) -> Iterator[str]:
    spec = pod["spec"]
    if spec.get("automountServiceAccountToken") is not False:
        yield "asks for a token"
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        security = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
        if not security.get("runAsNonRoot"):
            yield "may run as root"
        if not security.get("readOnlyRootFilesystem"):
            yield "may write its root"
        if "limits" not in container["resources"] or "cpu" not in container["resources"]["limits"]:
            yield "has no limit of processors"
    if pod["status"]["phase"] == "Running":
        yield from _found_inside(release, pod["metadata"]["name"])


def _found_inside(release: Release, name: str) -> Iterator[str]:
    def inside(script: str) -> str:
        return release.namespace.kubectl("exec", name, "--", "sh", "-c", script).strip()

    try:
        if inside("id -u") == "0":
            yield "runs as root"
        if inside(f"test ! -e {TOKEN} || echo there"):
            yield "has a token"
        if inside("touch /morula-was-here 2>/dev/null && echo there || true"):
            yield "writes its root"
        found = inside(f"for name in {' '.join(COMPILERS)}; do command -v $name; done; true").split()
        yield from (f"has {path}" for path in found)
        if inside('python -c \'import importlib.util as u; print(u.find_spec("torch") or "")\''):
            yield "has torch"
    except CommandFailed as error:
        yield str(error)
