"""Which seeds are for what: slides of one use share neither seed nor stain with those of another."""

from dataclasses import dataclass

SEED_LIMIT = 2**31
Range = tuple[float, float]


@dataclass(frozen=True)
class Split:
    """Seeds from `first_seed` to before `end_seed`, and how their slides are stained."""

    first_seed: int
    end_seed: int
    haematoxylin: Range
    """Strength, 1 for the usual."""
    eosin: Range
    hue: Range
    """How far haematoxylin is turned from red-violet (below zero) to blue (above)."""


# What is tuned or learned on the training slides meets paler nuclei in redder tissue when it is evaluated.
SPLITS = {
    "demo": Split(0, 10_000, haematoxylin=(0.95, 1.02), eosin=(0.93, 1.02), hue=(-0.01, 0.01)),
    "training": Split(10_000, 500_000, haematoxylin=(1.02, 1.18), eosin=(0.78, 0.93), hue=(-0.06, -0.01)),
    "evaluation": Split(500_000, SEED_LIMIT, haematoxylin=(0.83, 0.95), eosin=(1.02, 1.18), hue=(0.01, 0.06)),
}


def split_of(seed: int) -> Split:
    return next(split for split in SPLITS.values() if split.first_seed <= seed < split.end_seed)
