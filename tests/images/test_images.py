"""Images as a cluster runs them: by nobody, with no capability, on a root that nobody can write to.

`make image-test` builds them and says by IMAGES which, and by BUILDER what runs them.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSION = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
BUILDER, IMAGES = os.environ.get("BUILDER", ""), os.environ.get("IMAGES", "").split()
WORKERS = [image for image in IMAGES if image not in {"gateway", "onebox"}]
CONFINED = ["--read-only", "--volume=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=none"]
SERVING = """
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
health = health_pb2_grpc.HealthStub(grpc.insecure_channel("127.0.0.1:50051"))
answers = health.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=120)
assert any(answer.status == answer.SERVING for answer in answers)
"""
READY = """
import sys, time, urllib.error, urllib.request
def status(path, **headers):
    try:
        request = urllib.request.Request("http://127.0.0.1:8610" + path, headers=headers)
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        time.sleep(0.1)
deadline = time.monotonic() + 120
while status("/readyz") != 200 and time.monotonic() < deadline:
    pass
key = {"Authorization": f"Bearer {sys.argv[1]}"}
print(status("/"), status("/v1/slides"), status("/v1/slides", **key))
"""
CONTENTS = """
import importlib.metadata, json, os, re, shutil
tools = "cc gcc g++ c++ clang ld as make pip pip3 uv git".split()
print(json.dumps({
    "user": os.getuid(),
    "builders": [tool for tool in tools if shutil.which(tool)],
    "packages": sorted({re.sub("[-_.]+", "-", each.name).lower() for each in importlib.metadata.distributions()}),
    "bill": [each["purl"] for each in json.load(open("/opt/morula/sbom.json"))["components"]],
    "writable": [name for name in ("/", "/opt/morula", "/var/lib", "/home") if os.access(name, os.W_OK)],
}))
"""

COMPILED = """
cd "$NUMBA_CACHE_DIR" && find . -name "*.nbc" | sort
echo -
cd /opt/morula/kernels && find . -name "*.nbc" | sort
"""


def podman(*words: str, check: bool = True) -> str:
    ended = subprocess.run([BUILDER, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 0 or not check, f"{' '.join(words)}\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}"
    return ended.stdout if check else ended.stdout + ended.stderr


def run(image: str, *words: str) -> list[str]:
    """Words that run an image, what the machine asks for included."""
    assert VERSION
    return [
        "run",
        *os.environ.get("RUN_FLAGS", "").split(),
        *CONFINED,
        *words,
        f"localhost/morula-{image}:{VERSION[1]}",
    ]


@contextmanager
def running(image: str, *settings: str) -> Iterator[str]:
    """A container of it; in the end it is told to stop, and has to end well."""
    container = podman(*run(image, "--detach", *(f"--env=MORULA_{setting}" for setting in settings))).strip()
    try:
        yield container
        podman("stop", "--time=30", container)
        assert podman("inspect", "--format={{.State.ExitCode}}", container).strip() == "0"
    except AssertionError as error:
        error.add_note(podman("logs", container, check=False)[-2000:])
        raise
    finally:
        podman("rm", "--force", "--volumes", container)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_its_lock_and_nothing_that_builds(image: str) -> None:
    found = json.loads(podman(*run(image, "--rm", "--entrypoint=python"), "-c", CONTENTS))
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "locks" / f"{image}.txt").read_text("utf-8"), re.MULTILINE))
    assert found["user"] == 10001
    assert found["builders"] == found["writable"] == []
    assert set(found["packages"]) - {"morula"} <= locked
    assert ("torch" in found["packages"]) == image.endswith("-torch")
    billed = {purl.split("/")[1].split("@")[0] for purl in found["bill"] if purl.startswith("pkg:pypi/")}
    assert billed == set(found["packages"])


@pytest.mark.parametrize("image", WORKERS)
def test_a_worker_serves_and_compiles_nothing(image: str) -> None:
    with running(image, "ADDRESS=127.0.0.1:50051", "STORE_URL=file:///tmp/objects") as container:
        podman("exec", container, "python", "-c", SERVING)
        made, shipped = podman("exec", container, "sh", "-c", COMPILED).split("-\n")
        assert made == shipped
        assert bool(made) == (image in {"tiler", "segmenter", "segmenter-torch", "clusterer-paper"})


@pytest.mark.skipif("gateway" not in IMAGES, reason="not among the images that were built")
def test_the_gateway_has_its_page_and_lets_nobody_in_without_a_key() -> None:
    key = f"morula_{secrets.token_urlsafe(32)}"
    settings = ("HOST=0.0.0.0", "PORT=8610", f"FIRST_KEY={key}", "DATABASE_URL=sqlite:////tmp/morula.db")
    with running("gateway", *settings, "STORE_URL=file:///tmp/objects") as container:
        assert podman("exec", container, "python", "-c", READY, key).split() == ["200", "401", "200"]


@pytest.mark.skipif("onebox" not in IMAGES, reason="not among the images that were built")
def test_one_image_takes_a_slide_to_its_end() -> None:
    steps = "start synth slide.tiff --width 512 --height 512 && start run slide.tiff --out out --data data"
    answer = podman(*run("onebox", "--rm", "--entrypoint=sh"), "-c", f"{steps} && echo = && {COMPILED}")
    said, made = answer.split("\n=\n")
    cells = re.search(r"(\d+) cells", said)
    assert cells
    assert int(cells[1]) > 50
    assert len(set(made.split("-\n"))) == 1
