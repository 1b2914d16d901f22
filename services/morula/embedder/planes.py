"""What a slide's stain lets one see: the images that cells are measured on, by the names that columns begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morula.common.densities import optical_density, unmix
from morula.common.stain import Staining, fixed_matrix

Image = NDArray[np.float32]
COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, slots=True)
class Planes:
    """A region's images, each measured in `unit`."""

    main: tuple[str, Image]
    """What nuclei are seen by: texture and percentiles are of this one."""
    others: Mapping[str, Image]
    colours: Mapping[str, Image]
    """Of which only the mean inside a cell counts."""
    unit: str
    most: float
    """Percentiles are ranked in steps of 1/256 up to this value."""


def planes(pixels: NDArray[np.uint8], staining: Staining) -> Planes:
    """Densities of two stains, or where the stain is not known only how dense it is; light where it is fluorescence."""
    if staining.stain == "fluorescence":
        light = np.asarray(pixels, np.float32) / np.float32(255)
        return Planes(("brightness", light.max(axis=2)), _of_colours(light), {}, "intensity", 1.0)
    density = optical_density(pixels)
    if staining.stain in ("H&E", "IHC"):
        stains = unmix(density, staining.matrix or fixed_matrix(staining.stain))
        other = "dab" if staining.stain == "IHC" else "eosin"
        main, others = ("haematoxylin", stains[..., 0].copy()), {other: stains[..., 1].copy()}
    else:
        main, others = ("density", density.mean(axis=2)), {}
    # Tissue is rarely denser than 1.5.
    return Planes(main, others, _of_colours(density), "od", 2.0)


def _of_colours(image: Image) -> dict[str, Image]:
    return {name: image[..., channel] for channel, name in enumerate(COLOURS)}
