"""`morula suggest`: ask a multimodal model what clusters are."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from morula.cli.printing import AsJson, Data, console, folder_of, print_json


def suggest(
    labelling: Annotated[str, typer.Argument(help="Id of the labelling whose clusters are asked about.")],
    base_url: Annotated[
        str, typer.Option(help="Endpoint that speaks OpenAI's protocol, as http://127.0.0.1:11434/v1.")
    ],
    model: Annotated[str, typer.Option(help="Name of the model there.")],
    key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the key, where one is needed.")
    ] = None,
    tissue: Annotated[str, typer.Option(help="What the slide is of: the model is told.")] = "",
    votes: Annotated[int, typer.Option(min=1, max=50, help="So many answers for each cluster.")] = 3,
    agreement: Annotated[
        float, typer.Option(min=0, max=1, help="Share of them that has to say the same; else nothing is suggested.")
    ] = 0.6,
    max_calls: Annotated[int, typer.Option(min=1, help="So many calls at most.")] = 200,
    max_tokens: Annotated[int, typer.Option(min=1, help="No call after so many tokens.")] = 500_000,
    timeout: Annotated[float, typer.Option(min=1, help="So many seconds an answer may take.")] = 120.0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Have a multimodal model suggest what clusters are. Pictures of cells are sent to the endpoint.

    A suggestion stands beside its cluster until somebody names it. It is no label: nothing is learnt from it.
    """
    from morula.onebox.failures import WrongUse
    from morula.onebox.serve import terminating
    from morula.onebox.suggesting import Request
    from morula.onebox.suggesting import suggest as ask
    from morula.onebox.vision_model import Budget, VisionModel

    key = os.environ.get(key_env, "") if key_env else ""
    if key_env and not key.strip():
        raise WrongUse(f"the environment has no {key_env}, which is to hold the key")
    request = Request(labelling, tissue, votes, agreement)
    with terminating(), VisionModel(base_url, model, key, Budget(max_calls, max_tokens), timeout) as asked:
        told = ask(request, asked, folder_of(data), console())
    if as_json:
        print_json(told)
        return
    spent = f"{told['call_count']} calls, {told['token_count']:,} tokens"
    sure, unsure, count = (told[f"{name}_count"] for name in ("suggested", "abstained", "cluster"))
    typer.echo(f"{sure} of {count} clusters have a suggestion, of {unsure} the model is not sure ({spent})")
    if told["why_ended"]:
        typer.echo(f"{told['left_out_count']} were not asked about: {told['why_ended']}")
