"""Synthetic H&E slides with ground truth: what the demo, the tests and the benchmarks run on."""

from morula.synth.slide import MPP, Truth, make_slide
from morula.synth.splits import SPLITS, Split, split_of

__all__ = ["MPP", "SPLITS", "Split", "Truth", "make_slide", "split_of"]
