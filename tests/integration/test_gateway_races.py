"""Two who write about one job at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, select

from morula.common.errors import Conflict, MorulaError, NotFound
from morula.gateway.ledger import deletion, demand, jobs
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.tables import job
from tests.servers.rows import add_job


def test_no_cohort_is_made_of_what_is_being_deleted(
    ledger: Ledger, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, project)
        jobs.finish_job(tx, job_id, "succeeded")
        slide_id = jobs.get_job(tx, job_id)["slide_id"]
    values = {"project_id": project, "kind": "cohort", "slide_id": None, "source_job_ids": [job_id], "name": "c"}
    told: list[MorulaError] = []

    def make_cohort() -> None:
        try:
            with ledger.writing() as tx:
                jobs.hold_sources(tx, [job_id])
                jobs.create_job(tx, {**values, "params": {}, "params_digest": "cohort"}, ["cluster"])
        except MorulaError as error:
            told.append(error)

    other = threading.Thread(target=make_cohort)
    check = deletion._check_unused

    def check_and_let_the_other_in(tx: Connection, ids: Any) -> None:
        check(tx, ids)
        if ledger.engine.dialect.name == "postgresql":
            other.start()
            other.join(1.0)

    monkeypatch.setattr(deletion, "_check_unused", check_and_let_the_other_in)
    with ledger.writing() as tx:
        assert deletion.delete_slide(tx, slide_id)
    if ledger.engine.dialect.name == "sqlite":
        other.start()
    other.join(10.0)
    assert [type(one) for one in told] == [NotFound]
    with ledger.reading() as tx:
        assert tx.execute(select(job.c.id)).all() == []


def test_many_find_a_service_away_at_once(ledger: Ledger, project: str) -> None:
    """The API and a conductor, the first time that nobody answers."""
    together = threading.Barrier(6)

    def find_away(_: int) -> None:
        together.wait()
        with ledger.writing() as tx:
            demand.note(tx, "segmenter")

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(find_away, range(6)))
    with ledger.reading() as tx:
        assert demand.runnable_counts(tx)["segmenter"] == 1


def test_a_job_that_is_to_be_cancelled_ends_so_beside_the_one_in_its_place(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, project)
        jobs.ask_to_cancel(tx, job_id)
        _, created = add_job(tx, project)
        assert created
    with ledger.writing() as tx:
        jobs.finish_job(tx, job_id, "succeeded", verdict="cells")
        ended = jobs.get_job(tx, job_id)
    assert (ended["state"], ended["verdict"]) == ("cancelled", None)


def test_a_job_that_is_being_deleted_is_not_retried(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, project)
        deletion.delete_job(tx, job_id)
        jobs.finish_job(tx, job_id, "failed")
    with pytest.raises(Conflict, match="being deleted"), ledger.writing() as tx:
        jobs.retry_job(tx, job_id)
