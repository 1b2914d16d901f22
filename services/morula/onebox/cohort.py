"""`morula run --together`: the cells of several slides clustered as one, and how well the slides mix."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from morula.onebox.client import Client, Json
from morula.onebox.failures import Failure
from morula.onebox.jobs import finish
from morula.onebox.results import fetch


def cluster_together(
    client: Client, job_ids: Sequence[str], out: Path, params: Mapping[str, Any], console: Console
) -> Json:
    """The summary of the cohort of these slides' jobs. A slide without cells has no part in it."""
    began = time.monotonic()
    with_cells = [job for job in (client.get(f"/v1/jobs/{job_id}") for job_id in job_ids) if job["verdict"] == "cells"]
    if len(with_cells) < 2:
        raise Failure(f"{len(with_cells)} of {len(job_ids)} slides have cells: clustering together takes two at least")
    console.print("Together:")
    sources = [job["id"] for job in with_cells]
    job = finish(client, client.post("/v1/clusterings", {"job_ids": sources}), console)
    clustering = client.get(f"/v1/clusterings/{job['clustering_id']}")
    files = fetch(client, job["id"], out, {"slides": [slide["name"] for slide in clustering["slides"]], **params})
    return {
        "job_id": job["id"],
        "clustering_id": clustering["id"],
        "labelling_id": job["labelling_id"],
        "cell_count": clustering["cell_count"],
        "mixing": clustering["mixing"],
        "slides": [{name: slide[name] for name in ("name", "mixing")} for slide in clustering["slides"]],
        "result_digest": job["result_digest"],
        "seconds": round(time.monotonic() - began, 1),
        "out": str(out),
        "files": files,
    }
