"""What may be asked of segmentation, by the names of `SegmentParams`: requests, models and segmenters share them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Normalization = Literal["slide", "image", "none"]
Channel = Literal[
    "red",
    "green",
    "blue",
    "gray",
    "fluorescence",
    "haematoxylin",
    "inverted_red",
    "inverted_green",
    "inverted_blue",
    "inverted_gray",
    "inverted_fluorescence",
    "inverted_haematoxylin",
    "none",
]


@dataclass(frozen=True)
class OfRow:
    """A default that the model's row of the registry states in another field."""

    field: str


Default = OfRow | float | bool | str | None
"""What a model does where nobody asks; None is what it finds out by itself."""
Parameters = tuple[tuple[str, Default], ...]
"""Names of what a kind of model takes notice of, with its defaults."""

BY_CONTRAST: Parameters = (
    ("diameter_um", OfRow("object_um")),
    ("min_area_um2", 10.0),
    ("keep_rejected", False),
)
OF_NETWORKS: Parameters = (
    ("min_area_um2", 3.75),
    ("normalize", "slide"),
    ("channels", OfRow("channels")),
    ("keep_rejected", False),
)
_FLOWS: Parameters = (
    *OF_NETWORKS,
    ("flow_threshold", 0.4),
    ("cellprob_threshold", 0.0),
    ("niter", None),
    ("max_size_fraction", 0.4),
    ("augment", False),
)
BY_FLOWS: Parameters = (("diameter_um", OfRow("object_um")), *_FLOWS)
BY_FLOWS_AT_ANY_SIZE: Parameters = (("diameter_um", None), *_FLOWS)
