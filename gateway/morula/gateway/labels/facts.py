"""What sets some cells apart, in words and numbers that people read: medians beside those of all cells around them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from morula.gateway.label_schemas import Fact

BIN_COUNT = 24
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


def standings(columns: Columns, rows: npt.NDArray[np.int64]) -> list[Standing]:
    """Where these rows stand in each measure that was taken of them."""
    found = []
    for measure in MEASURES:
        values = columns[measure.column]
        known, mine = values[np.isfinite(values)], values[rows]
        mine = mine[np.isfinite(mine)]
        if len(mine) and len(known) and np.ptp(known) > 0:
            value = float(np.median(mine))
            below, up_to = np.count_nonzero(known < value), np.count_nonzero(known <= value)
            rank = (below + up_to) / 2 / len(known)
            found.append(Standing(measure, value, float(np.median(known)), rank))
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


def facts(columns: Columns, found: Sequence[Standing]) -> list[Fact]:
    """The same as numbers, each with the distribution over all cells between its 1st and 99th percentile."""
    told = []
    for one in found:
        values = columns[one.measure.column]
        known = values[np.isfinite(values)]
        low, high = (float(edge) for edge in np.percentile(known, [1, 99]))
        if high <= low:
            continue
        counts, _ = np.histogram(known, bins=BIN_COUNT, range=(low, high))
        told.append(
            Fact(
                name=one.measure.name,
                unit=one.measure.unit,
                value=one.value,
                low=low,
                high=high,
                position=min(1.0, max(0.0, (one.value - low) / (high - low))),
                histogram=counts.tolist(),
            )
        )
    return told
