"""How a network's flows become objects. Names and defaults are Cellpose's, whose parameters people know."""

from __future__ import annotations

from dataclasses import dataclass

from morula.common.segmentation import Normalization
from morula.networks.dtypes import Dtype


@dataclass(frozen=True, slots=True)
class FlowParams:
    """What may be asked of every network that predicts flows; zero and empty mean the model's own default."""

    flow_threshold: float = 0.4
    """Largest mean squared difference of a cell's flows from those that its shape would have; 0 asks nothing."""
    cellprob_threshold: float = 0.0
    niter: int = 0
    """Steps along the flow; 0 is 200, more where objects are larger than those the network was trained on."""
    min_size: int = 15
    """Smallest object in px."""
    max_size_fraction: float = 0.4
    """Largest object, as a fraction of the image."""
    normalize: Normalization = "slide"
    """Percentiles of the slide, or 1 and 99 of each image, or values as they are."""
    augment: bool = False
    """Crops overlap by half and are seen flipped: slower, a little better."""
    batch: int = 0
    """Crops per batch."""
    channels: tuple[str, ...] = ()
    """What the network sees in place of its own channels, by the names in `channels`."""
    dtype: Dtype = ""
    """The dtype that the network computes in; empty stands for the device's fastest."""
    thread_count: int = 0
    """Threads of a processor; 0 is all there are. One more may change the last digits."""


DEFAULTS = FlowParams()
