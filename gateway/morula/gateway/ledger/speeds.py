"""How fast models were here: seconds that their work took, and how much tissue was in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, exists, select

from morula.gateway.ledger.records import Record, every
from morula.gateway.ledger.tables import job, shard, stage

RECENT_JOBS = 8
"""Of each model: enough to even out what else the machine did, few enough to follow a change of it."""


@dataclass(frozen=True)
class Speed:
    """Seconds of work over some shards, and the tissue in them."""

    seconds: float
    area_mm2: float
    megapixels: float
    shard_count: int


def measured_speed(tx: Connection, task: str, name: str, revision: str) -> Speed | None:
    """Of a model's recent shards, as they were asked for; None where it made none.

    Jobs that were interrupted are left out: how long their shards really took is not known.
    """
    done = "segment" if task == "segmenter" else "embed"
    params = job.c.params
    made = and_(shard.c.job_id == job.c.id, shard.c.stage == done, shard.c.state == "done", shard.c.write_count > 0)
    query = (
        select(job.c.id, params, stage.c.busy_s)
        .join(stage, and_(stage.c.job_id == job.c.id, stage.c.stage == done))
        .where(job.c.kind == "slide", job.c.generation == 1, stage.c.busy_s > 0, exists().where(made))
        .where(params[task].as_string() == name, params[f"{task}_revision"].as_string() == revision)
        .order_by(job.c.id.desc())
        .limit(RECENT_JOBS)
    )
    speeds = [_of_job(tx, row, done) for row in every(tx, query)]
    if not speeds:
        return None
    return Speed(
        sum(speed.seconds for speed in speeds),
        sum(speed.area_mm2 for speed in speeds),
        sum(speed.megapixels for speed in speeds),
        sum(speed.shard_count for speed in speeds),
    )


def _of_job(tx: Connection, row: Record, done: str) -> Speed:
    """Tiles are told by the cut of the same shard, their true scale by the plan."""
    query = select(shard.c.stage, shard.c.number, shard.c.write_count, shard.c.result)
    units = every(tx, query.where(shard.c.job_id == row["id"], shard.c.stage.in_(("plan", "cut", done))))
    result_of: Mapping[tuple[str, int], Mapping[str, Any] | None] = {
        (unit["stage"], unit["number"]): unit["result"] for unit in units
    }
    made = [
        unit["number"] for unit in units if unit["stage"] == done and unit["write_count"] and unit["result"] is not None
    ]
    tile_count = sum((result_of.get(("cut", number)) or {}).get("kept", 0) for number in made)
    mpp = (result_of.get(("plan", 0)) or row["params"])["mpp"]
    pixels = tile_count * row["params"]["tile_px"] ** 2
    return Speed(row["busy_s"], pixels * mpp**2 / 1e6, pixels / 1e6, len(made))
