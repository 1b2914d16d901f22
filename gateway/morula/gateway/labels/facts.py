"""How some cells differ from all cells of the slide, in words and numbers: medians of their morphology."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from morula.gateway.label_schemas import Fact

BIN_COUNT = 24
SAMPLE_LIMIT = 1 << 16
LOW_RANK, HIGH_RANK = 0.3, 0.7
# A smaller difference is not mentioned, because nobody could see it.
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


# Which of them there are is decided by the slide's stain: what a slide does not have is not spoken of.
MEASURES = (
    Measure("area_um2", "Area", "µm²", "small", "large"),
    Measure("eccentricity", "Elongation", "", "round", "elongated"),
    Measure("haematoxylin_mean_od", "Nuclear stain", "OD", "pale", "dark"),
    Measure("haematoxylin_std_od", "Unevenness of stain", "OD", "even", "speckled"),
    Measure("dab_mean_od", "Brown stain", "OD", "hardly brown", "brown"),
    Measure("density_mean_od", "Density", "OD", "pale", "dark"),
    Measure("density_std_od", "Unevenness", "OD", "even", "speckled"),
    Measure("brightness_mean_intensity", "Brightness", "share", "dim", "bright"),
    Measure("brightness_std_intensity", "Unevenness of light", "share", "even", "speckled"),
    Measure("red_mean_intensity", "Red light", "share", "hardly red", "red"),
    Measure("green_mean_intensity", "Green light", "share", "hardly green", "green"),
    Measure("blue_mean_intensity", "Blue light", "share", "hardly blue", "blue"),
    Measure("solidity", "Smoothness of outline", "", "dented", "smooth"),
    Measure("outer_ring_eosin_mean_od", "Pink around it", "OD", "in pale surroundings", "in pink surroundings"),
    Measure("outer_ring_dab_mean_od", "Brown around it", "OD", "in pale surroundings", "in brown surroundings"),
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
        """The word for cells that differ so; None if the difference is small."""
        if abs(self.share) < LEAST_SHARE:
            return None
        if self.rank <= LOW_RANK:
            return self.measure.low_word
        return self.measure.high_word if self.rank >= HIGH_RANK else None


@dataclass(frozen=True)
class Distribution:
    """How a measure is distributed over all cells, or over an evenly spaced sample if there are many."""

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
    """The distribution of each measure that has values and is not constant."""
    distributions = {}
    for name, values in columns.items():
        known = values[np.isfinite(values)]
        ordered = np.sort(known[:: 1 + len(known) // SAMPLE_LIMIT])
        if len(ordered) and ordered[0] < ordered[-1]:
            distributions[name] = Distribution(ordered)
    return distributions


def standings(columns: Columns, whole: Mapping[str, Distribution], rows: npt.NDArray[np.int64]) -> list[Standing]:
    """Where these rows stand in each measure of which they have values."""
    standings = []
    for measure in MEASURES:
        mine = columns[measure.column][rows]
        mine = mine[np.isfinite(mine)]
        if len(mine) and measure.column in whole:
            value, distribution = float(np.median(mine)), whole[measure.column]
            standings.append(Standing(measure, value, distribution.median, distribution.rank(value)))
    return standings


def sentence(all_standings: Sequence[Standing], whole: str) -> str:
    """The cells in one sentence: "Small and dark: area 31 % below the slide's median, nuclear stain 22 % above"."""
    worded = [standing for standing in all_standings if standing.word]
    telling = sorted(worded, key=lambda standing: -abs(standing.rank - 0.5))[:WORD_LIMIT]
    if not telling:
        return f"Close to the {whole}'s median in size, shape and stain."
    words = [str(standing.word) for standing in telling]
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    numbers = [_difference(standing) for standing in telling]
    numbers[0] += f" the {whole}'s median"
    return f"{listed[0].upper()}{listed[1:]}: {', '.join(numbers)}."


def _difference(standing: Standing) -> str:
    side = "above" if standing.share > 0 else "below"
    return f"{standing.measure.name.lower()} {abs(standing.share):.0%} {side}".replace("%", " %")


def facts(whole: Mapping[str, Distribution], all_standings: Sequence[Standing]) -> list[Fact]:
    """The same as numbers, each with the distribution over all cells between its 1st and 99th percentile."""
    shown = []
    for standing in all_standings:
        measure, distribution = standing.measure, whole[standing.measure.column]
        low, high = distribution.edges
        if low < high:
            position = min(1.0, max(0.0, (standing.value - low) / (high - low)))
            place = {"value": standing.value, "low": low, "high": high, "position": position}
            shown.append(Fact(name=measure.name, unit=measure.unit, histogram=distribution.histogram, **place))
    return shown
