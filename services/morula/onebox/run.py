"""`morula run`: slides through the gateway of this machine, files into a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from morula.common.errors import MorulaError, SlideScaleUnknown, TooLarge
from morula.common.models import ModelSpec
from morula.gateway.pipeline.params import Choices, models_of
from morula.onebox.client import Client, Json
from morula.onebox.cohort import cluster_together
from morula.onebox.failures import Failure, WrongUse, one_line
from morula.onebox.folder import DataFolder
from morula.onebox.jobs import finish
from morula.onebox.machine import any_port, open_machine, profile
from morula.onebox.models import registry
from morula.onebox.results import (
    check_out,
    digest_of,
    entry_path,
    fetch,
    find_slides,
    is_finished,
    result_digest_in,
    stain_in,
)


@dataclass(frozen=True)
class Request:
    """What a person asked for."""

    slides: tuple[Path, ...]
    """Slides, and folders of slides."""
    out: Path
    choices: Choices
    together: bool = False
    """Whether the cells of all are clustered once more, as those of one cohort."""

    @property
    def params(self) -> dict[str, Any]:
        """The job's parameters; what is not given is left out, so that the preset and the slide's own scale count."""
        return {"preset": self.choices.preset} | self.choices.asked


def choose(**values: object) -> Choices:
    """The choices of a command line; a value that the gateway would refuse is refused here."""
    try:
        return Choices.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongUse(f"{first['loc'][0]}: {first['msg']}") from error


def run(request: Request, folder: DataFolder, console: Console) -> Json:
    """The summary of the finished job, whose files lie in the folder asked for.

    Of several slides the summaries of all, each in a folder of its own below that, and what failed; together, where
    none did, also that of their cohort, whose files lie in the folder itself.
    """
    known = _check_models(request, folder)
    slides = places_of(request, console)
    with ExitStack() as opened:
        door = cache(lambda: opened.enter_context(gateway_of(folder, lambda line: console.print(line, style="yellow"))))
        if len(slides) == 1 and not request.together:
            return _run_one(request, next(iter(slides.values())), folder, known, door, console)
        if request.together:
            if len(slides) < 2:
                raise WrongUse("--together takes two slides at least")
            check_out(request.out)
        summaries, failed = [], []
        for place, files in slides.items():
            path = entry_path(files)
            own_request = replace(request, slides=(path,), out=request.out / place)
            console.print(f"{path}:")
            try:
                summaries.append({"slide": str(path)} | _run_one(own_request, files, folder, known, door, console))
            except (Failure, MorulaError) as error:
                failed.append({"slide": str(path), "error": one_line(error)})
                console.print(f"{path}: {one_line(error)}", style="red")
        told: Json = {"slides": summaries, "failed": failed}
        if request.together and not failed:
            try:
                told["together"] = cluster_together(
                    door(), [one["job_id"] for one in summaries], request.out, request.params, console
                )
                told["together"]["board"] = _board(told["together"]["labelling_id"], folder)
            except (Failure, MorulaError) as error:
                told["together"] = {"error": one_line(error)}
    return told


def places_of(request: Request, console: Console) -> dict[Path, dict[str, Path]]:
    """The slides by their folders below that of the results."""
    places: dict[Path, dict[str, Path]] = {}
    placed: set[Path] = set()
    # Resolved: the name of `..` is no name, and of a folder within another each slide is run once.
    for path in dict.fromkeys(path.resolve() for path in request.slides):
        slides, rest = find_slides(path)
        if rest:
            console.print(f"belongs to no slide: {', '.join(map(str, rest))}", style="yellow")
        for files in slides:
            entry = entry_path(files)
            if entry in placed:
                continue
            placed.add(entry)
            inside = entry.relative_to(path) if path.is_dir() else Path(entry.name)
            place = path.name / inside if path.is_dir() and len(request.slides) > 1 else inside
            if place in places:
                raise WrongUse(
                    f"{entry_path(places[place])} and {entry} would both be written to {request.out / place}: "
                    "give one of them another name, or run it by itself"
                )
            places[place] = files
    return places


def _run_one(
    request: Request,
    slide: Mapping[str, Path],
    folder: DataFolder,
    known: list[ModelSpec],
    door: Callable[[], Client],
    console: Console,
) -> Json:
    digest = digest_of(slide)
    if is_finished(request.out, digest, request.params, known):
        kept = folder.kept_run(digest, result_digest_in(request.out))
        # What the slide is stained with may have been said since.
        if kept is not None and (request.choices.stain or kept.stain) == stain_in(request.out):
            why = "this slide was run with these parameters before, and its files are whole"
            done = {"state": "succeeded", "already_done": True, "why": why, "out": str(request.out)}
            done["job_id"] = kept.job_id
            return done | {"board": _board(kept.labelling_id, folder)}
    check_out(request.out)
    began = time.monotonic()
    client = door()
    job = finish(client, _submit(client, slide, request, folder), console)
    files = fetch(client, job["id"], request.out, {"slide_digest": digest, **request.params})
    return {
        "state": job["state"],
        "already_done": False,
        "job_id": job["id"],
        "verdict": job["verdict"],
        "cell_count": job["cell_count"],
        "truncated_cell_count": job["truncated_cell_count"],
        "unembedded_cell_count": job["unembedded_cell_count"],
        "tile_count": job["tile_count"],
        "failed_tile_count": job["failed_tile_count"],
        "result_digest": job["result_digest"],
        "labelling_id": job["labelling_id"],
        "board": _board(job["labelling_id"], folder),
        "seconds": round(time.monotonic() - began, 1),
        "out": str(request.out),
        "files": files,
    }


def _board(labelling_id: str | None, folder: DataFolder) -> str | None:
    """Where the cells are labelled: at the page that is open now, else how to open it there."""
    if labelling_id is None:
        return None
    holder = folder.holder()
    if holder and holder.url and holder.verb != "run":
        return f"{holder.url}/#/board/{labelling_id}"
    return f"morula serve --data {folder.root}, then its address with /#/board/{labelling_id}"


def _check_models(request: Request, folder: DataFolder) -> list[ModelSpec]:
    """Nothing is started for a model that is not there or may not be used, nor for what it cannot do; an operator's
    files are those of this folder."""
    known = registry(folder)
    for spec in models_of(request.choices, known):
        spec.check_use(profile())
    return known


@contextmanager
def gateway_of(folder: DataFolder, notify: Callable[[str], None]) -> Iterator[Client]:
    """The gateway that serves this folder now, or one of our own until the block ends."""
    holder = folder.holder()
    if holder and holder.url:
        with Client(holder.url) as client:
            yield client
        return
    with open_machine(folder, "run", port=any_port(), notify=notify) as machine, machine.client() as client:
        yield client


def _submit(client: Client, files: Mapping[str, Path], request: Request, folder: DataFolder) -> Json:
    """The job of an uploaded slide; what the gateway misses is asked for in words of the command."""
    try:
        slide = client.upload(files)
        return client.post("/v1/jobs", {"slide_id": slide["id"], **request.params})
    except TooLarge as error:
        raise Failure(f"{error} It would lie in {folder.root}; --data names another folder") from error
    except SlideScaleUnknown as error:
        raise WrongUse(
            f"{request.slides[0]} does not say how many microns a pixel is wide: "
            "add --slide-mpp, for example --slide-mpp 0.25 where it was scanned with a 40x objective"
        ) from error
