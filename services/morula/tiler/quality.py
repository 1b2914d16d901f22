"""The reference system's six metrics of a tile, with its formulas, by operators that cost a sixth of its own.

`measure` gives the same values as the plain formulas (which the tests hold it to): sums of whole numbers for mean,
spread and the Laplacian, and Canny's edges in a compiled loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2

from morula.tiler.impression import Grey, Impression
from morula.tiler.kernels import count_edges, sum_laplacian
from morula.tiler.planes import count_outside

BRIGHT_LEVEL = 240
DARK_LEVEL = 15
CANNY_LOW, CANNY_HIGH = 50, 150


@dataclass(frozen=True)
class Quality:
    """Metrics of a tile's grey levels (luminance), of its edges, and of the means of its three channels."""

    mean_intensity: float
    std_intensity: float
    bright_fraction: float
    dark_fraction: float
    edge_density: float
    laplacian_variance: float
    colour_variance: float


@dataclass(frozen=True)
class Thresholds:
    """Bounds that a tile must hold; the reference's defaults."""

    min_edge_density: float = 0.02
    max_bright_fraction: float = 0.8
    max_dark_fraction: float = 0.8
    min_std_intensity: float = 10.0
    min_laplacian_variance: float = 50.0
    min_colour_variance: float = 5.0

    def failed(self, quality: Quality) -> tuple[str, ...]:
        """Names of the metrics that are out of bounds."""
        checks = {
            "edge_density": quality.edge_density < self.min_edge_density,
            "bright_fraction": quality.bright_fraction > self.max_bright_fraction,
            "dark_fraction": quality.dark_fraction > self.max_dark_fraction,
            "std_intensity": quality.std_intensity < self.min_std_intensity,
            "laplacian_variance": quality.laplacian_variance < self.min_laplacian_variance,
            "colour_variance": quality.colour_variance < self.min_colour_variance,
        }
        return tuple(name for name, fails in checks.items() if fails)


def measure(seen: Impression) -> Quality:
    """All six of a tile, and the mean."""
    grey = seen.grey
    levels, squares = round(cv2.sumElems(grey)[0]), round(cv2.norm(grey, cv2.NORM_L2SQR))
    dark_count, bright_count = count_outside(grey, DARK_LEVEL, BRIGHT_LEVEL)
    return Quality(
        mean_intensity=levels / grey.size,
        std_intensity=_variance(squares, levels, grey.size) ** 0.5,
        bright_fraction=bright_count / grey.size,
        dark_fraction=dark_count / grey.size,
        edge_density=count_edges(grey, CANNY_LOW, CANNY_HIGH) / grey.size,
        laplacian_variance=laplacian_variance(grey),
        colour_variance=_spread([total / grey.size for total in seen.colours.tolist()]),
    )


def laplacian_variance(grey: Grey) -> float:
    """Sharpness: variance of the Laplacian, in 16 bits (twenty times faster than in float and equal)."""
    total, squares = sum_laplacian(grey)
    return _variance(squares, total, grey.size)


def _spread(means: Sequence[float]) -> float:
    middle = sum(means) / len(means)
    return sum((mean - middle) ** 2 for mean in means) / len(means)


def _variance(squares: int, total: int, count: int) -> float:
    """Of whole numbers, from the sums of them and of their squares: exact until the last division."""
    return (count * squares - total * total) / (count * count)
