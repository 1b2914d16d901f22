"""Ways of clustering beside the one that is always there, and the packages that each needs where it runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.util import find_spec

from morula.common.errors import ModelUnavailable

UMAP_DBSCAN = "umap-dbscan"
"""The published system's: unit vectors, UMAP, DBSCAN."""
PACKAGES: Mapping[str, Mapping[str, str]] = {UMAP_DBSCAN: {"umap": "umap-learn", "kneed": "kneed"}}
"""Packages by the names under which they are imported."""
INSTALL = ".venv/bin/pip install -e '.[paper]' in the checkout"


def missing(algorithm: str) -> list[str]:
    """Packages that this process lacks for a way of clustering."""
    return [package for module, package in PACKAGES[algorithm].items() if find_spec(module) is None]


def installed() -> list[str]:
    """Ways of clustering that this process could go."""
    return [algorithm for algorithm in PACKAGES if not missing(algorithm)]


def check_installed(algorithm: str, there: Collection[str]) -> None:
    """Raises ModelUnavailable with what is missing, and what brings it, for a way that is not among those there are."""
    if algorithm and algorithm not in there:
        packages = missing(algorithm) or PACKAGES[algorithm].values()
        raise ModelUnavailable(
            f"clustering by {algorithm} needs {' and '.join(packages)}, not installed where it would run: {INSTALL}",
            model=algorithm,
        )
