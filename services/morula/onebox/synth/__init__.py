"""Synthetic H&E slides with ground truth: what the demo, the tests and the benchmarks run on."""

from morula.onebox.synth.slide import MPP, Truth, make_slide

__all__ = ["MPP", "Truth", "make_slide"]
