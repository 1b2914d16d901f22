"""A database that an earlier version filled comes along with all that people did in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from sqlalchemy import JSON, Column, Connection, MetaData, Table, insert, inspect, select
from sqlalchemy.engine import Engine

from morula.gateway.ledger.engine import open_engine
from morula.gateway.ledger.migrate import migrate, migrations
from morula.gateway.ledger.tables import label_layer, metadata, object_use

FILLED = "0002"
DEAD = ("failed", "cancelled", "cancelling")
STATES = ("queued", "failed", "running", "cancelled", "cancelling", "succeeded", "failed")
"""Of jobs for the same, oldest first."""


def ref(key: str) -> dict[str, Any]:
    return {"key": key, "sha256": "a" * 64, "size_bytes": "5"}


STAINS = {"h & e": "H&E", "Haematoxylin and eosin, 40x": "H&E", "IHC Ki67": "IHC", "z: PAS": "other"}
ROWS: dict[str, list[dict[str, Any]]] = {
    "project": [{"id": "default"}],
    "counter": [{"name": "event", "value": 2}],
    "event": [{"seq": 1, "kind": "job", "subject_id": "job-5"}, {"seq": 2, "kind": "labelling", "subject_id": "l"}],
    "slide": [
        {"id": "slide", "project_id": "default", "levels": [{"downsample": 1.0}]},
        *({"id": word, "digest": word, "project_id": "default", "stain": word} for word in STAINS),
    ],
    "slide_file": [{"slide_id": "slide", "name": "a.svs", "key": "default/d/slide/a.svs"}],
    "job": [
        *(
            {
                "id": f"job-{number}",
                "project_id": "default",
                "slide_id": "slide",
                "params_digest": "same",
                "params": {"mpp": 0.5},
                "state": state,
                "settled": {"index": ref("default/d/index/i.parquet")} if state == "succeeded" else None,
            }
            for number, state in enumerate(STATES)
        ),
        {"id": "other", "project_id": "default", "slide_id": "slide", "params_digest": "other", "state": "running"},
        {
            "id": "split",
            "project_id": "default",
            "kind": "split",
            "params_digest": "split",
            "params": {"mpp": 0.5, "splits": [{"node_id": 3, "part_count": 2}], "split_of": "c"},
            "state": "succeeded",
        },
    ],
    "job_file": [{"job_id": "job-5", "name": "cells.parquet", "key": "default/d/table/t.parquet"}],
    "stage": [{"job_id": "job-5", "stage": "cut"}],
    "shard": [{"job_id": "job-5", "stage": "cut", "number": 1, "result": {"pixels": ref("default/d/pixels/p.arrow")}}],
    "clustering": [
        {"id": "c", "project_id": "default", "job_id": "job-5", "artifacts": {"leaf": ref("default/d/leaf/l.npy")}}
    ],
    "clustering_slide": [{"clustering_id": "c", "position": 0, "slide_id": "slide", "job_id": "job-5"}],
    "cut": [{"clustering_id": "c", "cluster_count": 2, "body": {"node_of_leaf": [1, 2]}}],
    "label_set": [{"id": "set", "project_id": "default"}],
    "label_class": [{"label_set_id": "set", "number": 1, "name": "Epithelium"}],
    "labelling": [{"id": "l", "clustering_id": "c", "label_set_id": "set", "seq": 2}],
    "label_event": [
        {"labelling_id": "l", "seq": 1, "kind": "cell_set", "body": {"row": 1, "class_number": 1}},
        {"labelling_id": "l", "seq": 2, "kind": "undone", "body": {"seq": 1}},
    ],
    "label_layer": [
        {"labelling_id": "l", "seq": 2, "cluster_count": 2, "learnt": {"model": ref("default/d/model/m.json")}}
    ],
}
"""Words that people wrote, and those of today."""
KEPT = {
    ("slide", "slide", "default/d/slide/a.svs"),
    ("job", "job-5", "default/d/table/t.parquet"),
    ("job", "job-5", "default/d/index/i.parquet"),
    ("job", "job-5", "default/d/leaf/l.npy"),
}
"""For whom objects are kept. Shards' are the sweep's to find; layers are learnt again, and claimed then."""


def whole(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """A row with something in every column that wants it."""
    return {column.name: values.get(column.name, _filler(column)) for column in table.columns}


def _filler(column: Column[Any]) -> Any:
    if column.nullable:
        return None
    return {} if isinstance(column.type, JSON) else column.type.python_type(1)


def content(tx: Connection, tables: MetaData) -> dict[str, list[dict[str, Any]]]:
    """All rows, by table, in the order of their keys; JSON as text."""
    found = {}
    for name in ROWS:
        table = tables.tables[name]
        rows = tx.execute(select(table).order_by(*table.primary_key.columns)).mappings()
        found[name] = [{key: json.loads(json.dumps(value)) for key, value in row.items()} for row in rows]
    return found


@pytest.fixture
def engine(ledger_url: str) -> Iterator[Engine]:
    opened = open_engine(ledger_url)
    yield opened
    opened.dispose()


def test_all_that_was_done_comes_along(engine: Engine, ledger_url: str) -> None:
    with engine.connect().execution_options(writes=True) as tx, tx.begin():
        command.upgrade(migrations(tx), FILLED)
        former = MetaData()
        former.reflect(tx)
        assert {*former.tables} - {"alembic_version"} == ROWS.keys()
        for table in former.sorted_tables:
            if table.name in ROWS:
                tx.execute(insert(table), [whole(table, row) for row in ROWS[table.name]])
        before = content(tx, former)
    migrate(ledger_url)
    with engine.connect() as tx:
        after = content(tx, former)
        assert tx.execute(select(label_layer)).all() == [], "rules changed: it is learnt again from the events"
        uses = tx.execute(select(object_use.c.owner_kind, object_use.c.owner_id, object_use.c.key)).all()
    # Of jobs for the same that do or will come to something, the newest is found; the others stay, as themselves.
    living = [job for job in before["job"] if job["params_digest"] == "same" and job["state"] not in DEAD]
    assert [job["id"] for job in living] == ["job-0", "job-2", "job-5"]
    for job in living[:-1]:
        job["params_digest"] = job["id"]
    (split,) = (job for job in before["job"] if job["kind"] == "split")
    split["params"] = {"mpp": 0.5, "changes": split["params"]["splits"], "change_of": "c"}
    for slide in before["slide"]:
        slide["stain"] = STAINS.get(slide["stain"])
    assert after == before | {"label_layer": [], "cut": []}
    assert {tuple(use) for use in uses} == KEPT


def test_constraints_are_named_as_the_code_names_them(engine: Engine, ledger_url: str) -> None:
    migrate(ledger_url)
    laid = inspect(engine)
    for table in metadata.sorted_tables:
        there = {key["name"] for key in laid.get_foreign_keys(table.name)}
        assert there == {str(key.name) for key in table.foreign_key_constraints}, table.name
