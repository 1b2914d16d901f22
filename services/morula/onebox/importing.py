"""`morula import`: a finished run of the published system becomes slides, jobs, labels and a truth of this machine."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console

from morula.common import imported
from morula.common.published import is_class
from morula.evaluator.published_files import ENDING, Batch, Cell
from morula.onebox import published_batches
from morula.onebox.assembled import Assembled, assemble, check
from morula.onebox.client import Client, Json
from morula.onebox.failures import Unreadable, WrongUse
from morula.onebox.folder import DataFolder
from morula.onebox.jobs import finish
from morula.onebox.published_run import Remarks, SlideFolder, slides_in
from morula.onebox.run import gateway_of

ACTOR = "imported"
"""Who says the classes that came with a run."""
LABEL_SET, NAME_LIMIT, CLASS_LIMIT = "import", 200, 249
"""Classes of a run are a label set of this name and the run's; so many it has at most."""
Place = tuple[str, int]
"""A cell by the name of its tile and its label, or number, there."""


@dataclass(frozen=True)
class Request:
    """What a person asked for."""

    run: Path
    slide_mpp: float
    """Microns per pixel of the scan: no file of a run says it."""
    embedder: str | None = None


@dataclass(frozen=True)
class Cells:
    """The cells of a job: rows of its clustering, in the order of its tables."""

    table: Mapping[str, list[object]]
    """Columns of the file that they came in, and `cell_id`."""

    def places(self, by: str) -> Iterator[tuple[Place, int]]:
        for row, (tile, number) in enumerate(zip(self.table["tile"], self.table[by], strict=True)):
            if isinstance(tile, str) and isinstance(number, int):
                yield (tile, number), row


def run(request: Request, folder: DataFolder, console: Console) -> Json:
    """What was made of a run, and what of it could not be taken over."""
    slides, remarks = slides_in(request.run), Remarks()
    _check(slides)
    batches = _batches(request.run, remarks)
    made: list[Json] = []
    cell_ids: dict[str, dict[Place, str]] = {"label": {}, "number": {}}
    with (
        gateway_of(folder, lambda line: console.print(line, style="yellow")) as client,
        tempfile.TemporaryDirectory(dir=folder.scratch, prefix="import-") as scratch,
    ):
        for slide in slides:
            for one in assemble(slide, Path(scratch), request.slide_mpp, remarks):
                console.print(f"{one.name}: {one.tile_count:,} tiles, {one.cell_count:,} cells")
                job = _job(client, one, request, console)
                if job["cell_count"] != one.cell_count:
                    remarks.add("cells are lost on the way", one.name, one.cell_count - job["cell_count"])
                told = {"slide_id": job["slide_id"], "name": one.name, "job_id": job["id"]}
                told |= {"cell_count": job["cell_count"], "labelling_id": job["labelling_id"], "class_count": 0}
                if job["labelling_id"]:
                    cells = _cells(client, job["id"], one, Path(scratch))
                    label_set = f"{LABEL_SET}: {request.run.resolve().name}"[:NAME_LIMIT]
                    told["labelling_id"], told["class_count"] = _label(client, job, label_set, cells)
                    for by, known in cell_ids.items():
                        known |= {place: str(cells.table["cell_id"][row]) for place, row in cells.places(by)}
                made.append(told)
                for path in one.files.values():
                    path.unlink()
        if not made:
            raise WrongUse(f"nothing of {request.run} can be taken over: {'; '.join(remarks.lines())}")
        truth = _bring_truth(client, request.run.name, batches, cell_ids, remarks)
    return {"slides": made, "truth_id": truth, "remarks": remarks.lines()}


def _check(slides: Sequence[SlideFolder]) -> None:
    """Raises before anything is sent where some of it could not be taken over."""
    classes = set[str]().union(*map(check, slides))
    if len(classes) > CLASS_LIMIT:
        raise Unreadable(f"the run has {len(classes):,} classes, and a label set has at most {CLASS_LIMIT}")


def _job(client: Client, one: Assembled, request: Request, console: Console) -> Json:
    slide = client.upload(one.files, {"name": one.name, "mpp": repr(one.mpp)})
    asked = {"slide_id": slide["id"], "preset": "imported", "mpp": slide["mpp"], "embedder": request.embedder}
    return finish(client, client.post("/v1/jobs", {k: v for k, v in asked.items() if v is not None}), console)


def _cells(client: Client, job_id: str, one: Assembled, scratch: Path) -> Cells:
    """The job's cells, each with what the file that it came in says of it."""
    path = scratch / "cells.parquet"
    client.download(f"/v1/jobs/{job_id}/files/cells.parquet", path)
    rows = pq.read_table(path, columns=["cell_id", "imported_row"])
    came = next(path for name, path in one.files.items() if name.endswith(imported.ENDING))
    taken = imported.read(came, ["class", "tile", "label", "number"]).take(rows["imported_row"])
    return Cells({**taken.to_pydict(), "cell_id": rows["cell_id"].to_pylist()})


def _label(client: Client, job: Json, label_set_name: str, cells: Cells) -> tuple[str, int]:
    """Gives cells the classes that they came with; what an import that was cut off said before is not said again."""
    wanted = {
        row: str(name) for row, name in enumerate(cells.table["class"]) if isinstance(name, str) and is_class(name)
    }
    if not wanted:
        return job["labelling_id"], 0
    labelling = _labelling(client, job, label_set_name)
    labelling_id, label_set = labelling["id"], labelling["label_set"]
    events = _all(client, f"/v1/labellings/{labelling_id}/events", "events")
    said = {event["body"]["row"] for event in events if event["actor"] == ACTOR}
    numbers = {one["name"]: one["number"] for one in label_set["classes"]}
    for row, name in wanted.items():
        if row in said:
            continue
        if name not in numbers:
            grown = client.post(f"/v1/label-sets/{label_set['id']}/classes", {"name": name})
            numbers |= {one["name"]: one["number"] for one in grown["classes"]}
        body = {"row": row, "class_number": numbers[name]}
        client.post(f"/v1/labellings/{labelling_id}/events", {"kind": "cell_set", "actor": ACTOR, "body": body})
    return labelling_id, len(wanted)


def _labelling(client: Client, job: Json, label_set_name: str) -> Json:
    """The labelling by the run's own label set, in place of the job's: its classes are in the way of no other slide.

    Where something was said in the job's, it stays there.
    """
    there = list(_all(client, "/v1/labellings", "labellings", clustering_id=job["clustering_id"]))
    own = next(one for one in there if one["id"] == job["labelling_id"])
    made = next((one for one in (own, *there) if one["label_set"]["name"] == label_set_name), None)
    if own["seq"] or made == own:
        return own
    if made is None:
        known = _all(client, "/v1/label-sets", "label_sets")
        label_set = next((one for one in known if one["name"] == label_set_name), None)
        label_set = label_set or client.post("/v1/label-sets", {"name": label_set_name})
        chosen = {"clustering_id": job["clustering_id"], "label_set_id": label_set["id"]}
        made = client.post("/v1/labellings", chosen)
    client.delete(f"/v1/labellings/{own['id']}")
    return made


def _all(client: Client, path: str, name: str, **params: str) -> Iterator[Json]:
    """Every item of a list that comes in parts."""
    cursor: str | None = None
    while True:
        answer = client.get(path, **params, **({"cursor": cursor} if cursor else {}))
        yield from answer[name]
        cursor = answer["next_cursor"]
        if cursor is None:
            return


def _bring_truth(
    client: Client, name: str, batches: Sequence[Batch], cell_ids: Mapping[str, Mapping[Place, str]], remarks: Remarks
) -> str | None:
    """What people said of batches, as a truth of our cells; None where nobody said anything."""
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow(["cell_id", "class", "slide", "tile", "batch"])
    count = 0
    for batch in batches:
        for slide, tile, class_name, cell_id in _said(batch, cell_ids, remarks):
            writer.writerow([cell_id, class_name, slide, tile, batch.name])
            count += 1
    return str(client.bring_truth(sheet.getvalue(), name)["id"]) if count else None


def _batches(run_: Path, remarks: Remarks) -> list[Batch]:
    folders = sorted(
        {path.parent.parent for path in run_.rglob(f"{published_batches.BATCHES}/{published_batches.FOUND}")}
    )
    found: list[Batch] = []
    for folder in folders:
        try:
            batches, words = published_batches.read(folder, folder)
        except WrongUse as error:
            remarks.add("folders of batches have no labels of people", str(error))
            continue
        found += batches
        for line in words:
            remarks.add("batches have no labels of people", line)
    return found


def _said(
    batch: Batch, cell_ids: Mapping[str, Mapping[Place, str]], remarks: Remarks
) -> Iterator[tuple[str, str, str, str]]:
    names = batch.said.names()
    cells: dict[Place, Cell] = {
        (tile.tile_name.removesuffix(ENDING), cell.cell_id): cell for tile in batch.found.tiles for cell in tile.cells
    }
    for tile in batch.said.tiles:
        name = tile.tile_name.removesuffix(ENDING)
        for one in tile.labelled_cells:
            cell = cells.get((name, one.cell_id))
            by_label = cell_ids["label"].get((name, cell.label_id)) if cell and cell.label_id is not None else None
            cell_id = by_label or cell_ids["number"].get((name, one.cell_id))
            if cell_id is None:
                remarks.add("labels of people are of cells that are not among those imported", f"{name} {one.cell_id}")
                continue
            if one.human_label in names:
                yield tile.slide_id, name, names[one.human_label], cell_id
