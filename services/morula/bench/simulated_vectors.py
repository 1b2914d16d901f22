"""Vectors as a network makes them of cells: clusters of unequal size on a curved sheet, and cells in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

KINDS = 20
BETWEEN = 0.1
"""Share of cells that lie between two kinds."""
COLUMNS, LATENT = 2048, 16
APART, SPREAD = 1.6, 0.35
BLOCK = 10_000


def simulated(cells: int, seed: int) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Unit vectors, and the kind of each; -1 for one between two."""
    blocks = list(_blocks(cells, seed))
    return np.concatenate([rows for rows, _ in blocks]), np.concatenate([kind for _, kind in blocks])


def write_simulated(cells: int, seed: int, path: Path) -> None:
    """The same as an .npy file, never whole in memory."""
    table = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(cells, COLUMNS))
    start = 0
    for rows, _ in _blocks(cells, seed):
        table[start : start + len(rows)] = rows
        start += len(rows)
    table.flush()


def _blocks(cells: int, seed: int) -> Iterator[tuple[NDArray[np.float16], NDArray[np.int64]]]:
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.ones(KINDS))
    middles = rng.normal(0, APART, (KINDS, LATENT))
    turn = rng.normal(0, 1 / np.sqrt(LATENT), (LATENT, COLUMNS)).astype(np.float32)
    offset = rng.normal(0, 0.1, COLUMNS).astype(np.float32)
    for start in range(0, cells, BLOCK):
        count = min(BLOCK, cells - start)
        kind, other = rng.choice(KINDS, (2, count), p=share)
        between = rng.random(count) < BETWEEN
        step = np.where(between, rng.random(count), 0.0)[:, None]
        places = middles[kind] * (1 - step) + middles[other] * step + rng.normal(0, SPREAD, (count, LATENT))
        seen = np.maximum(places.astype(np.float32) @ turn + offset, 0)
        seen /= np.linalg.norm(seen, axis=1, keepdims=True)
        yield seen.astype(np.float16), np.where(between, -1, kind)
