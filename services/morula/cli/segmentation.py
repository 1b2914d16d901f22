"""Options of how cells are found, as `morula run` and `morula segment` have them. None is the model's own."""

from __future__ import annotations

from typing import Annotated

import typer

MODELS = "the model's"
FlowThreshold = Annotated[
    float | None, typer.Option(min=0, help="Largest error of a cell's flows; 0 asks nothing.", show_default=MODELS)
]
CellprobThreshold = Annotated[
    float | None, typer.Option(help="Least cell probability, a logit: a lower one finds more.", show_default=MODELS)
]
Niter = Annotated[
    int | None, typer.Option(min=1, help="Steps along flows: more for long cells.", show_default="by the diameter")
]
MaxSizeFraction = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Largest object, as a share of what is looked at at once.", show_default=MODELS),
]
Augment = Annotated[bool | None, typer.Option(help="Flips and half overlap: slower, a little better.")]
Channel = Annotated[list[str] | None, typer.Option(help="What the network sees, in order: give it for each channel.")]
