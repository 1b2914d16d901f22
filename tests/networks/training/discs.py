"""Dark discs on a pale ground, six images in six groups, and a configuration that learns from them in seconds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

CONFIG = """
name = "tiny"
objective = "flows"
licence = "CC0-1.0"
row = { object_um = 9.0, commercial = "yes" }
schedule = { steps = 8, batch = 4, parts = 2, rate = 0.002, save_every = 3, watch_every = 4 }
settings = { crop_px = 64, widths = [4, 8] }
split = { watch = ["mine/4"], test = ["mine/5"] }

[[sources]]
name = "mine"
path = "images"
mpp = 0.5
group_pattern = "^\\\\d"
licence = "CC0-1.0"
"""


def write_discs(root: Path) -> Path:
    """The configuration, beside its images."""
    for kind in ("images", "labels"):
        (root / "images" / kind).mkdir(parents=True)
    for number in range(6):
        rng = np.random.default_rng(number)
        labels = np.zeros((96, 96), np.uint16)
        for n in range(9):
            y, x = divmod(n, 3)
            centre = (16 + 32 * x + int(rng.integers(-4, 5)), 16 + 32 * y + int(rng.integers(-4, 5)))
            cv2.circle(labels, centre, int(rng.integers(6, 11)), n + 1, -1)
        pixels = np.where(labels[..., None] > 0, (120, 60, 110), (235, 215, 225)) + rng.normal(0, 6, (96, 96, 3))
        cv2.imwrite(str(root / "images" / "images" / f"{number}.png"), np.clip(pixels, 0, 255).astype(np.uint8))
        cv2.imwrite(str(root / "images" / "labels" / f"{number}.png"), labels)
    (root / "tiny.toml").write_text(CONFIG)
    return root / "tiny.toml"
