"""Rows for tests of the ledger."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from morula.gateway.ledger import clusterings, jobs, label_sets, labels, slides
from morula.gateway.ledger.records import Slice

ALL = Slice(1000)


def add_slide(tx: Connection, project: str, digest: str = "d" * 64) -> str:
    values = {
        "project_id": project,
        "digest": digest,
        "name": "a.svs",
        "entry": "a.svs",
        "width_px": 100,
        "height_px": 80,
        "mpp": None,
        "mpp_assumed": False,
        "objective_power": 40.0,
        "vendor": "aperio",
        "size_bytes": 5,
        "levels": [{"width_px": 100, "height_px": 80, "downsample": 1.0}],
    }
    files = [{"name": "a.svs", "key": f"default/{digest}/slide/a.svs", "sha256": digest, "size_bytes": 5}]
    return str(slides.create_slide(tx, values, files)["id"])


def add_job(tx: Connection, project: str, params_digest: str = "p") -> tuple[str, bool]:
    values = {
        "project_id": project,
        "kind": "slide",
        "slide_id": add_slide(tx, project) if not slides.list_slides(tx, project, ALL).rows else None,
        "source_job_ids": [],
        "name": "a.svs",
        "params": {"mpp": 0.5},
        "params_digest": params_digest,
    }
    row, created = jobs.create_job(tx, values, ["plan", "cut", "tables"])
    return str(row["id"]), created


def add_labelling(tx: Connection, project: str) -> str:
    job_id, _ = add_job(tx, project)
    values: dict[str, Any] = {
        "project_id": project,
        "job_id": job_id,
        "name": "a",
        "artifacts": {},
        "cell_count": 10,
        "leaf_count": 2,
        "noise_count": 0,
        "cluster_count": 2,
        "structure_found": True,
        "feature_names": ["log_area_um2"],
    }
    slide = {
        "slide_id": slides.list_slides(tx, project, ALL).rows[0]["id"],
        "job_id": job_id,
        "settled": {},
        "slide_mpp": 0.5,
    }
    clustering_id = clusterings.create_clustering(tx, values, [{**slide, "row_start": 0, "row_stop": 10}])
    set_id = label_sets.default_label_set(tx, project)
    return labels.create_labelling(tx, clustering_id, set_id, 2)
