"""The demonstration: a slide with known truth, labelled as a person would, and measured honestly."""
