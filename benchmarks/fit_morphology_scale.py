"""Fits location and scale of the columns of `morphology` on a reference set, once.

    MORULA_DATA=../shared/data python benchmarks/fit_morphology_scale.py

Writes services/morula/common/scales/morphology.json. Median and interquartile range / 1.349 over the cells that
`watershed` finds in H&E of many patients, scanners and stains; images weigh by their cells. The slide at hand is never
scaled by itself: slides differ in what they contain, not only in stain.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import openslide
from numpy.typing import NDArray

from morula.bench.fields import cells_of
from morula.common.models import SCALES
from morula.embedder import named
from morula.onebox.scaling import quartiles

MPP = 0.5
SETS = "brca_m2c, he_nuclei, CMU-1-Small-Region"
# Columns that spread over decades enter the vectors as logarithms.
LOGARITHMS = ("area_um2", "perimeter_um", "major_axis_um", "minor_axis_um", "haematoxylin_total_od_um2")


def images(folder: Path) -> Iterator[NDArray[np.uint8]]:
    """RGB at 0.5 um per px."""
    for row in csv.DictReader((folder / "brca_m2c/index.csv").open()):
        yield _read(folder / "brca_m2c/images", row["id"])
    yield from he_nuclei(folder)
    with openslide.OpenSlide(folder / "slides/real/CMU-1-Small-Region.svs") as slide:
        yield np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))


def he_nuclei(folder: Path) -> Iterator[NDArray[np.uint8]]:
    """Those of them of the smaller set."""
    for row in csv.DictReader((folder / "he_nuclei/index.csv").open()):
        image, scale = _read(folder / "he_nuclei/images", row["id"]), float(row["mpp"]) / MPP
        yield cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _read(folder: Path, name: str) -> NDArray[np.uint8]:
    image = cv2.imread(str(next(folder.glob(f"{name}.*"))), cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def main() -> None:
    folder = Path(os.environ.get("MORULA_DATA", "../shared/data"))
    fields = [cells_of(image, MPP) for image in images(folder)]
    names = [f"log_{name}" if name in LOGARITHMS else name for name in fields[0].columns]
    write("morphology", names, [named.vectors(field.columns, names) for field in fields], Path(__file__).name, SETS)


def write(
    model: str, names: Sequence[str], parts: Sequence[NDArray[np.float16]], program: str, sets: str, **facts: str
) -> None:
    """Location and scale of the columns over the cells of all images."""
    vectors = np.concatenate(parts).astype(np.float64)
    location, spread = quartiles(vectors)
    fitted = {
        "columns": list(names),
        "location": location.round(5).tolist(),
        "scale": np.maximum(spread, 1e-4).round(5).tolist(),
        **facts,
        "fitted_on": f"{len(vectors)} cells of {len(parts)} images: {sets}",
        "command": f"python benchmarks/{program}",
    }
    (SCALES / f"{model}.json").write_text(json.dumps(fitted, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
