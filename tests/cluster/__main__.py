"""`python -m tests.cluster --address A --tag T`: installs the chart, breaks things, and tells what came of it.

KUBECONFIG says in which cluster; KEDA and the images are there. kubectl, helm, PostgreSQL and Ceph are here. A is an
address of this machine that pods reach. GPUs may be numbers that a node offers, and nodes may be simulated by kwok.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.door import Door
from tests.chaos.grounds import ServerGround
from tests.chaos.slide import write_tissue
from tests.cluster import burst, deaths, encrypted, joining, placing, safety
from tests.cluster.kubernetes import CommandFailed, Namespace, wait_until
from tests.cluster.kubernetes import run as run_command
from tests.cluster.release import CHART, Release
from tests.servers.ceph import s3_server
from tests.servers.postgres import postgres

BURST_SLIDES = 12
SLIDE_TILES = 8
JOIN_TILES = 16
LEAVING_S = 180.0
# Kinds that other operators bring, and a priority that a dry run does not make for the pods after it.
LEFT_OUT = (
    "--set=monitoring.serviceMonitors=false,monitoring.rules=false,gatewayApi.enabled=false,mtls.issuer.name=",
    "--set=priorityClasses.enabled=false",
)
Figures = dict[str, Any]


@dataclass
class Run:
    """What all scenarios share."""

    release: Release
    root: Path
    faults: list[str]
    figures: Figures = field(default_factory=dict)

    def slide(self, tiles_along: int, seed: int) -> Path:
        path = self.root / f"tissue-{tiles_along}-{seed}.tiff"
        if not path.exists():
            write_tissue(path, tiles_along, seed)
        return path

    @property
    def laptop_digest(self) -> str:
        """What one machine makes of the small slide."""
        out = self.root / "laptop"
        if not out.exists():
            command = [sys.executable, "-m", "morula.cli", "run", str(self.slide(SLIDE_TILES, 0)), f"--out={out}"]
            command += ["--segmenter=watershed", f"--data={self.root / 'laptop-data'}"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        digest: str = json.loads((out / "manifest.json").read_bytes())["result_digest"]
        return digest


def install(run: Run, door: Door) -> Figures:
    """A slide by REST with a key, whose result is the laptop's."""
    began = time.monotonic()
    job = door.ended(door.submit(door.upload(run.slide(SLIDE_TILES, 0))))
    problems = [] if job["result_digest"] == run.laptop_digest else [f"{job['state']}: {job['error'] or 'another'}"]
    deaths.forget(run.release, door, job)
    return {"slide_s": round(time.monotonic() - began), "digest": job["result_digest"], "problems": problems}


def accepted(run: Run, _: Door) -> Figures:
    """What the API server says to every example, without what other operators must bring first."""
    problems = []
    # A Pod is looked at with its account, which a dry run does not make.
    run.release.namespace.kubectl("create", "serviceaccount", "dry")
    for values in sorted((CHART / "ci").glob("*-values.yaml")):
        try:
            rendered = run_command("helm", "template", "dry", str(CHART), f"--values={values}", *LEFT_OUT)
            run.release.namespace.kubectl("apply", "--dry-run=server", "--validate=strict", "-f-", stdin=rendered)
        except CommandFailed as error:
            problems.append(f"{values.name}: {error}")
    run.release.namespace.kubectl("delete", "serviceaccount", "dry")
    return {"problems": problems}


def encrypted_calls(run: Run, door: Door) -> Figures:
    encrypted.turn_on(run.release)
    figures = install(run, door)
    run.release.upgrade({})
    return figures


def safe(run: Run, _: Door) -> Figures:
    return {"problems": safety.problems_of(run.release)}


def helm_test(run: Run, _: Door) -> Figures:
    run.release.namespace.helm("test", run.release.name, "--timeout=10m")
    return {"problems": []}


def placed(run: Run, _: Door) -> Figures:
    real, simulated = placing.play_real(run.release), placing.play_simulated(run.release)
    return {"real": real, "simulated": simulated, "problems": [*real["problems"], *simulated["problems"]]}  # type: ignore[misc]


def broken(run: Run, door: Door) -> Figures:
    slide, digest = run.slide(SLIDE_TILES, 0), run.laptop_digest
    outcomes = []
    with deaths.two_conductors(run.release):
        for fault in run.faults:
            outcomes.append(deaths.play(run.release, door, slide, fault, digest))
            print("   ", outcomes[-1], flush=True)
    return {"faults": outcomes, "problems": [each for outcome in outcomes for each in outcome["problems"]]}  # type: ignore[attr-defined]


def joined(run: Run, door: Door) -> Figures:
    return joining.play(run.release, door, [run.slide(JOIN_TILES, seed) for seed in (101, 102)])


def burst_of_slides(run: Run, door: Door) -> Figures:
    keda = {"autoscaling": {"mode": "keda", "min": 0, "max": 2, "polling": 2, "cooldown": 10}}
    run.release.upgrade(dict.fromkeys(burst.SLEEPERS, keda), wait=False)
    outcome = burst.play(run.release, door, [run.slide(SLIDE_TILES, seed) for seed in range(1, BURST_SLIDES + 1)])
    run.release.upgrade({})
    return outcome


SCENARIOS: dict[str, Callable[[Run, Door], Figures]] = {
    "install": install,
    "helm test": helm_test,
    "accepted": accepted,
    "safe": safe,
    "encrypted": encrypted_calls,
    "placed": placed,
    "broken": broken,
    "joined": joined,
    "burst": burst_of_slides,
}


@contextmanager
def installed(arguments: argparse.Namespace, root: Path) -> Iterator[Run]:
    namespace = Namespace(arguments.namespace)
    with postgres(arguments.address) as database, s3_server(arguments.address) as objects:
        namespace.create()
        release = Release(namespace, ServerGround(database, objects, root / "cache"), arguments.images, arguments.tag)
        run = Run(release, root, arguments.fault or list(deaths.FAULTS))
        try:
            release.write_secrets()
            began = time.monotonic()
            release.install()
            run.figures["installed_s"] = round(time.monotonic() - began)
            yield run
            release.uninstall()
            run.figures["left"] = left_over(release)
        finally:
            if not arguments.keep:
                namespace.delete()


def played(run: Run, name: str) -> Figures:
    """What came of a scenario; one that breaks off is a problem of its own, and the others are played."""
    try:
        with run.release.door() as door:
            return SCENARIOS[name](run, door)
    except (RuntimeError, TimeoutError, httpx.HTTPError) as error:
        return {"problems": [f"{type(error).__name__}: {error}"]}


def left_over(release: Release) -> list[str]:
    """What an uninstalled release leaves, once its pods have had the time that they are given to end."""
    kinds = "all,configmaps,secrets,persistentvolumeclaims,networkpolicies,poddisruptionbudgets,jobs,serviceaccounts"
    with suppress(TimeoutError):
        wait_until("nothing is left", lambda: not release.namespace.get(kinds, release.selector()), LEAVING_S)
    found = release.namespace.get(kinds, release.selector())
    return [f"{each['kind']}/{each['metadata']['name']}" for each in found]


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.cluster")
    parser.add_argument("--address", required=True, help="address of this machine that pods reach")
    parser.add_argument("--images", default="localhost/morula", help="images are IMAGES-SERVICE:TAG")
    parser.add_argument("--tag", required=True)
    parser.add_argument("--namespace", default="morula-test")
    parser.add_argument("--only", choices=tuple(SCENARIOS), action="append", help="all where not given")
    parser.add_argument(
        "--fault", choices=tuple(deaths.FAULTS), action="append", help="of `broken`; all where not given"
    )
    parser.add_argument("--keep", action="store_true", help="leave the namespace as it is where something fails")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="morula-cluster-"))
    with installed(arguments, root) as run:
        for name in arguments.only or SCENARIOS:
            print(f"{name} ...", flush=True)
            run.figures[name] = played(run, name)
            print(json.dumps(run.figures[name], indent=1), flush=True)
            if arguments.out:
                arguments.out.write_text(json.dumps(run.figures, indent=1))
    problems = [
        each for name in run.figures if isinstance(run.figures[name], dict) for each in run.figures[name]["problems"]
    ]
    print(f"{len(problems)} problems; left after uninstall: {run.figures['left'] or 'nothing'}")
    sys.exit(1 if problems or run.figures["left"] else 0)


if __name__ == "__main__":
    main()
