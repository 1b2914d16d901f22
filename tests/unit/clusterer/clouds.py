"""Clouds of rows that tests cluster."""

from __future__ import annotations

import numpy as np

from morula.clusterer.features import Features


def features(rows: np.ndarray) -> Features:
    """Rows as features without neighbours."""
    names = tuple(f"column_{number}" for number in range(rows.shape[1]))
    return Features(rows.astype(np.float16), names, rows.shape[1], None)


def kinds(
    count: int, kind_count: int = 4, columns: int = 6, apart: float = 8.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of kinds that lie apart, and the kind of each."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, kind_count, count)
    return rng.normal(0, 1, (count, columns)) + np.eye(columns)[kind] * apart, kind
