"""Parts one lock by the layers of its image: `layers.py LOCKS NAME OUT` writes OUT/device.txt and its like.

What is in a layer is named once, here; versions and hashes are the lock's own, word for word, so that images whose
locks say the same have the same layer.
"""

import re
import sys
from fnmatch import fnmatch
from pathlib import Path

SERVICES = ("tiler", "segmenter", "embedder", "clusterer", "evaluator", "gateway")
# Gigabytes that a GPU needs.
DEVICE = ("torch", "torchvision", "triton", "nvidia-*", "cuda-*", "*-cu12", "cupy-*", "numba-cuda*")
# Tens of megabytes each.
HEAVY = (
    "numba",
    "llvmlite",
    "openvino",
    "onnx",
    "opencv-*",
    "imagecodecs",
    "scipy",
    "scikit-*",
    "networkx",
    "sympy",
    "timm",
)


def requirements(lock: Path) -> dict[str, str]:
    """Each package's lines by its name."""
    blocks: dict[str, str] = {}
    for block in re.split(r"^(?=[a-z0-9])", lock.read_text("utf-8"), flags=re.MULTILINE):
        if name := re.match(r"[a-z0-9._-]+", block):
            blocks[name[0]] = blocks.get(name[0], "") + block
    return blocks


def layer_of(package: str, shared: set[str]) -> str:
    if any(fnmatch(package, pattern) for pattern in DEVICE):
        return "device"
    if package in shared:
        return "shared"
    return "heavy" if any(fnmatch(package, pattern) for pattern in HEAVY) else "light"


def main(locks: Path, name: str, out: Path) -> None:
    shared = set.intersection(*(set(requirements(locks / f"{service}.txt")) for service in SERVICES))
    layers = dict.fromkeys(("device", "shared", "heavy", "light"), "")
    for package, block in requirements(locks / f"{name}.txt").items():
        layers[layer_of(package, shared)] += block
    out.mkdir(exist_ok=True)
    for layer, text in layers.items():
        (out / f"{layer}.txt").write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
