"""What `morula-nuclei` finds on real slides, to be judged by eye: outlines over fields of them.

    MORULA_DATA=../shared/data python benchmarks/picture_real_slides.py

Writes services/morula/networks/weights/morula-nuclei.webp: on the left each field as it is, on the right what is found.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from morula.networks.models import Models
from morula.segmenter.backends import MODELS
from morula.segmenter.instances import Wanted
from morula.segmenter.params import FlowParams
from morula.tiler.readers import open_slide

SIDE_PX = 480
# Level-0 px of the left upper corner: skin with its rim, skin with ink at its edge, OS-1, nuclei in DAPI.
FIELDS = [
    ("real/CMU-1-Small-Region.svs", 700, 900),
    ("real/CMU-1-Small-Region.svs", 1500, 2100),
    ("derived/OS-1-detail_pyramid.tiff", 300, 300),
    ("real/test3-DAPI-2-387.ndpi", 2880, 3360),
]
OUTLINE = (20, 230, 60)
Pixels = NDArray[np.uint8]


def main() -> None:
    folder = Path(os.environ.get("MORULA_DATA", "../shared/data")) / "slides"
    models = Models("segmenter", MODELS)
    rows = []
    for name, x_px, y_px in FIELDS:
        with open_slide(folder / name) as slide:
            pixels = slide.read(0, x_px, y_px, SIDE_PX, SIDE_PX)
            mpp = slide.scale.mpp or 0.5
        labels = models["morula-nuclei"](pixels, mpp, Wanted(flows=FlowParams(normalize="image"))).labels
        rows.append(np.hstack([pixels, outlined(pixels, labels)]))
        print(f"{name}: {int(labels.max())} nuclei")
    models.close()
    Image.fromarray(np.vstack(rows)).save("services/morula/networks/weights/morula-nuclei.webp", quality=72, method=6)


def outlined(pixels: Pixels, labels: NDArray[np.int32]) -> Pixels:
    """The pixels with the border of each object."""
    drawn = pixels.copy()
    for number in range(1, int(labels.max()) + 1):
        borders, _ = cv2.findContours((labels == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, borders, -1, OUTLINE, 1)
    return drawn


if __name__ == "__main__":
    main()
