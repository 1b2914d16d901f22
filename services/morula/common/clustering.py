"""Ways of clustering beside the one that is always there, and the packages that each needs where it runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from morula.common.errors import ModelUnavailable

UMAP_DBSCAN = "umap-dbscan"
"""The published system's: unit vectors, UMAP, DBSCAN."""
UMAP_DBSCAN_CUML = "umap-dbscan-cuml"
"""The same by cuML on a GPU: a way of its own, because its results are others."""
IMPORTED = "imported"
"""The clusters that came with a slide."""
PACKAGES: Mapping[str, Mapping[str, str]] = {
    UMAP_DBSCAN_CUML: {"cuml": "cuml-cu12", "kneed": "kneed"},
    UMAP_DBSCAN: {"umap": "umap-learn", "kneed": "kneed"},
}
"""Packages by the names under which they are imported; the fastest way first."""
INSTALL = {
    UMAP_DBSCAN_CUML: "the image clusterer-cuml, on a machine with an NVIDIA GPU",
    UMAP_DBSCAN: ".venv/bin/pip install -e '.[paper]' in the checkout",
}
Layout = Literal["umap"]
"""What may be asked for in place of cells around their leaves."""
LAYOUTS: Mapping[str, str] = {UMAP_DBSCAN_CUML: "umap-cuml", UMAP_DBSCAN: "umap"}
"""Ways of laying cells out by UMAP, which need what a way of clustering needs."""
GPU_DRIVER = Path("/dev/nvidiactl")
"""Exists where an NVIDIA GPU can be used."""


def missing(algorithm: str) -> list[str]:
    """What this process lacks for a way of clustering."""
    packages = [package for module, package in PACKAGES[algorithm].items() if find_spec(module) is None]
    if algorithm == UMAP_DBSCAN_CUML and not GPU_DRIVER.exists():
        packages.append("an NVIDIA GPU")
    return packages


def installed() -> list[str]:
    """Ways of clustering that this process could go."""
    return [algorithm for algorithm in PACKAGES if not missing(algorithm)]


def way_of(layout: str) -> str:
    """The way of clustering that needs the same as a layout; empty of the layout that is always there."""
    return next((algorithm for algorithm, name in LAYOUTS.items() if name == layout), "")


def published(there: Collection[str]) -> str:
    """The way in which the published clustering is made: the fastest of those there are."""
    return next((algorithm for algorithm in PACKAGES if algorithm in there), UMAP_DBSCAN)


def check_installed(algorithm: str, there: Collection[str]) -> None:
    """Raises ModelUnavailable with what is missing, and what brings it, for a way that is not among those there are."""
    if algorithm and algorithm != IMPORTED and algorithm not in there:
        needed = " and ".join(missing(algorithm) or PACKAGES[algorithm].values())
        raise ModelUnavailable(
            f"clustering by {algorithm} needs {needed}, not there where it would run: {INSTALL[algorithm]}",
            model=algorithm,
        )
