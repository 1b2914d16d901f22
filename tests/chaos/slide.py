"""A slide of tissue beside a strip of glass."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from morula.common.testing import draw_tissue, write_picture

TILE_PX = 512
PIECE_PX = 1024
"""Drawn once and repeated: nuclei differ within it."""
MARGIN_PX = 192


def write_tissue(path: Path, tiles_along: int, seed: int = 0) -> None:
    """Writes a square of so many tiles along; the same bytes each time for a seed."""
    picture, _ = draw_tissue(PIECE_PX + 2 * MARGIN_PX, PIECE_PX + 2 * MARGIN_PX, seed=seed, spacing_px=72)
    piece = picture[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    side = TILE_PX * tiles_along
    times = -(-side // PIECE_PX)
    glass = np.full((side, TILE_PX, 3), 245, np.uint8)
    write_picture(path, np.hstack([np.tile(piece, (times, times, 1))[:side, :side], glass]))
