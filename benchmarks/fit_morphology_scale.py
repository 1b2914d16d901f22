"""Fits location and scale of the columns of `morphology` and its variants on a reference set, once.

    MORULA_DATA=../shared/data python benchmarks/fit_morphology_scale.py

Writes services/morula/common/scales/morphology*.json. Median and interquartile range / 1.349 over the cells that
`watershed` finds in H&E of many patients, scanners and stains; images weigh by their cells. The slide at hand is never
scaled by itself: slides differ in what they contain, not only in stain. For IHC and fluorescence there is no reference
set: their shapes are scaled as in H&E, and so is haematoxylin; what is left has numbers that suit its range.
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

from morula.bench.fields import Field, cells_of
from morula.common.models import SCALES
from morula.common.stain import Stain
from morula.embedder import named
from morula.onebox.scaling import quartiles

MPP = 0.5
SETS = "brca_m2c, he_nuclei, CMU-1-Small-Region"
# Columns that spread over decades enter the vectors as logarithms, as do totals.
LOGARITHMS = ("area_um2", "perimeter_um", "major_axis_um", "minor_axis_um")
VARIANTS: dict[str, Stain] = {"morphology-ihc": "IHC", "morphology-fluorescence": "fluorescence"}
# Location and scale of densities up to about 1 and of light from 0 to 1, by what the column's name holds.
BY_CONSTRUCTION = {
    "_total_": (2.0, 0.8),
    "_std_": (0.1, 0.1),
    "gradient": (0.15, 0.1),
    "contrast": (0.05, 0.05),
    "rim_less_core": (0.0, 0.1),
    "": (0.25, 0.2),
}


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
    program = Path(__file__).name
    stains: dict[str, Stain | None] = {"morphology": "H&E", "morphology-plain": None}
    for model, stain in stains.items():
        fields = [cells_of(image, MPP, stain=stain) for image in images(folder)]
        names = _names(fields[0])
        write(model, names, [named.vectors(field.columns, names) for field in fields], program, SETS)
    for model, stain in VARIANTS.items():
        construct(model, _names(cells_of(next(images(folder)), MPP, stain=stain)), program)


def _names(field: Field) -> list[str]:
    return [f"log_{name}" if name in LOGARITHMS or "_total_" in name else name for name in field.columns]


def construct(model: str, names: Sequence[str], program: str) -> None:
    """Location and scale as in H&E where it has the column, else by what the column is."""
    fitted = json.loads((SCALES / "morphology.json").read_text(encoding="utf-8"))
    known = dict(zip(fitted["columns"], zip(fitted["location"], fitted["scale"], strict=True), strict=True))
    numbers = [
        known.get(name) or next(numbers for part, numbers in BY_CONSTRUCTION.items() if part in name) for name in names
    ]
    made = {
        "columns": list(names),
        "location": [location for location, _ in numbers],
        "scale": [scale for _, scale in numbers],
        "fitted_on": "no cells: as in H&E where it has the column, the rest by construction",
        "command": f"python benchmarks/{program}",
    }
    (SCALES / f"{model}.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


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
