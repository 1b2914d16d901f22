"""`morula evaluate`: what clusters are worth against a truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from morula.cli.printing import AsJson, console, print_json, print_table

SHOWN = {
    "macro_f1": "macro-F1, named elsewhere",
    "accuracy": "right, named elsewhere",
    "area_macro_f1": "macro-F1, mean of 100 clicks",
    "rare_recall": "rare classes found",
    "ami": "AMI",
    "purity": "purity",
}


def evaluate(
    assignments: Annotated[
        Path,
        typer.Argument(
            help="assignments.parquet, or as the published system has it: cell_labels.json, or a folder of batches."
        ),
    ],
    truth: Annotated[
        Path,
        typer.Option(
            help="CSV: cell_id or row, class; where known tile, slide, batch, tissue, species, annotator. "
            "Or human_labels_*.json, or a folder of batches that has them, also of batches that `morula sample` wrote."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for report.html and evaluation.json.")],
    noise: Annotated[
        int | None,
        typer.Option(help="cluster_id of cells that are in no cluster.", show_default="-1, or 0 as Morula writes it"),
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="What was clustered, a row each: the ceiling is a model of them.")
    ] = None,
    morphology: Annotated[
        Path | None, typer.Option(help="Measures alone, a row each: clustered for a baseline.")
    ] = None,
    apart: Annotated[
        bool, typer.Option("--apart", help="Clusters of each slide are its own; of the published system's they are.")
    ] = False,
    leave_out_badly_segmented: Annotated[
        bool,
        typer.Option(
            "--leave-out-badly-segmented",
            help="Flagged cells are no part of the truth: badly_segmented of a CSV or of human_labels_*.json.",
        ),
    ] = False,
    against: Annotated[Path | None, typer.Option(help="Other assignments of the same cells: which is better?")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what clusters are worth against a truth, beside what costs nothing."""
    from morula.onebox.evaluating import Request, run
    from morula.onebox.progress import counted

    with counted("Evaluating", console()) as tell:
        found = run(
            Request(assignments, truth, out, noise, vectors, morphology, apart, against, leave_out_badly_segmented),
            lambda done, total, _: tell(done, total),
        )
    for line in found["remarks"]:
        console().print(line, style="yellow")
    if as_json:
        print_json(found)
    else:
        _show(found, out)


def _show(found: dict[str, Any], out: Path) -> None:
    honest = found["honest"]
    names = list(honest["baselines"])
    print_table(
        ("", "these clusters", *names),
        [[words, _told(honest[key]), *(_told(honest["baselines"][name][key], brief=True) for name in names)]
         for key, words in SHOWN.items()],
    )  # fmt: skip
    if "comparison" in found:
        differences = found["comparison"]["difference"]
        rows = [[words, _told(differences[key])] for key, words in SHOWN.items() if key in differences]
        print_table(("", f"minus {found['comparison']['with']}"), rows)
    paper = found["paper"]
    typer.echo(f"As published: {paper['accuracy']:.4f}, and one cluster for everything {paper['constant']:.4f}.")
    typer.echo(f"{found['match_rate']:.1%} of {found['match']['truth_count']:,} cells of the truth matched: {out}")


def _told(number: dict[str, Any], *, brief: bool = False) -> str:
    if number["value"] is None:
        return ""
    value = f"{number['value']:.3f}"
    return value if brief or number["low"] is None else f"{value} ({number['low']:.3f} to {number['high']:.3f})"
