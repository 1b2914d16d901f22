"""What sets some cells apart, in words and numbers that people read: medians beside those of all cells around them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from morula.gateway.label_schemas import Fact

BIN_COUNT = 24
SAMPLE_LIMIT = 1 << 16
LOW_RANK, HIGH_RANK = 0.3, 0.7
# A difference that nobody could see is not told, however steady it is.
LEAST_SHARE = 0.04
WORD_LIMIT = 3

Columns = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Measure:
    """A column of the cells' morphology, and words for the ends of its range."""

    column: str
    name: str
    unit: str
    low_word: str
    high_word: str


MEASURES = (
    Measure("area_um2", "Area", "µm²", "small", "large"),
    Measure("eccentricity", "Elongation", "", "round", "elongated"),
    Measure("haematoxylin_mean_od", "Nuclear stain", "OD", "pale", "dark"),
    Measure("haematoxylin_std_od", "Unevenness of stain", "OD", "even", "speckled"),
    Measure("solidity", "Smoothness of outline", "", "dented", "smooth"),
    Measure("outer_ring_eosin_mean_od", "Pink around it", "OD", "in pale surroundings", "in pink surroundings"),
    Measure("far_nuclear_fraction", "Crowding", "share", "far apart", "crowded"),
)
MEASURE_COLUMNS = [measure.column for measure in MEASURES]


@dataclass(frozen=True)
class Standing:
    """Where the median of some cells lies among all cells."""

    measure: Measure
    value: float
    median: float
    rank: float

    @property
    def share(self) -> float:
        """How far above the median it lies, as a share of the median."""
        return self.value / self.median - 1 if self.median > 0 else 0.0

    @property
    def word(self) -> str | None:
        """What these cells are called for it, where it is worth a word."""
        if abs(self.share) < LEAST_SHARE:
            return None
        if self.rank <= LOW_RANK:
            return self.measure.low_word
        return self.measure.high_word if self.rank >= HIGH_RANK else None


@dataclass(frozen=True)
class Distribution:
    """How a measure is distributed over all cells; of many cells, over a sample at even steps."""

    ordered: npt.NDArray[np.float32]

    @cached_property
    def median(self) -> float:
        return float(np.median(self.ordered))

    @cached_property
    def edges(self) -> tuple[float, float]:
        """1st and 99th percentile."""
        low, high = np.percentile(self.ordered, [1, 99])
        return float(low), float(high)

    @cached_property
    def histogram(self) -> list[int]:
        counts: list[int] = np.histogram(self.ordered, bins=BIN_COUNT, range=self.edges)[0].tolist()
        return counts

    def rank(self, value: float) -> float:
        """Share of cells that lie below; equal ones count half."""
        below = np.searchsorted(self.ordered, value, "left")
        up_to = np.searchsorted(self.ordered, value, "right")
        return float(below + up_to) / 2 / len(self.ordered)


def distribute(columns: Columns) -> dict[str, Distribution]:
    """The distribution of each measure that was taken and is not the same everywhere."""
    found = {}
    for name, values in columns.items():
        known = values[np.isfinite(values)]
        ordered = np.sort(known[:: 1 + len(known) // SAMPLE_LIMIT])
        if len(ordered) and ordered[0] < ordered[-1]:
            found[name] = Distribution(ordered)
    return found


def standings(columns: Columns, whole: Mapping[str, Distribution], rows: npt.NDArray[np.int64]) -> list[Standing]:
    """Where these rows stand in each measure that was taken of them."""
    found = []
    for measure in MEASURES:
        mine = columns[measure.column][rows]
        mine = mine[np.isfinite(mine)]
        if len(mine) and measure.column in whole:
            value, distribution = float(np.median(mine)), whole[measure.column]
            found.append(Standing(measure, value, distribution.median, distribution.rank(value)))
    return found


def sentence(found: Sequence[Standing], whole: str) -> str:
    """The cells in one sentence: "Small and dark: area 31 % below the slide's median, nuclear stain 22 % above"."""
    telling = sorted((one for one in found if one.word), key=lambda one: -abs(one.rank - 0.5))[:WORD_LIMIT]
    if not telling:
        return f"Close to the {whole}'s median in size, shape and stain."
    words = [str(one.word) for one in telling]
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    numbers = [_difference(one) for one in telling]
    numbers[0] += f" the {whole}'s median"
    return f"{listed[0].upper()}{listed[1:]}: {', '.join(numbers)}."


def _difference(one: Standing) -> str:
    side = "above" if one.share > 0 else "below"
    return f"{one.measure.name.lower()} {abs(one.share):.0%} {side}".replace("%", " %")


def facts(whole: Mapping[str, Distribution], found: Sequence[Standing]) -> list[Fact]:
    """The same as numbers, each with the distribution over all cells between its 1st and 99th percentile."""
    shown = []
    for one in found:
        distribution = whole[one.measure.column]
        low, high = distribution.edges
        if low < high:
            position = min(1.0, max(0.0, (one.value - low) / (high - low)))
            place = {"value": one.value, "low": low, "high": high, "position": position}
            shown.append(Fact(name=one.measure.name, unit=one.measure.unit, histogram=distribution.histogram, **place))
    return shown
