"""The demonstration: a slide with known truth, labelled as an annotator would, and measured honestly."""
